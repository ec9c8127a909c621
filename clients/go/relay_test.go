package lakepulse

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func asUser(r *http.Request) { r.Header.Set("X-Forwarded-Email", "ann@example.com") }

// relayed sends one request through the relay, mounted as the docs say.
func relayed(t *testing.T, lp *Client, method, target, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/api/v1/metrics/", lp.Relay(RelayConfig{}))
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	lp.Middleware(mux).ServeHTTP(rec, r)
	return rec
}

func TestRelayPassesABatchOnAsTheSignedInUser(t *testing.T) {
	const body = `{"events":[
		{"event_type":"page_view","timestamp":"2026-03-01T12:00:00Z","user_id":"spoof","app":"other","session_id":"s","seq":1},
		{"event_type":"page_view","timestamp":"2026-03-01T12:00:00Z","USER_ID":"spoof","u\u017fer_id":"spoof","App":"other"},
		{"event_type":"page_view","user_id":"a","user_id":"b"},
		null, 7],
		"dropped":4,"user_id":"spoof"}`
	for _, contentType := range []string{"application/json", "text/plain;charset=UTF-8"} {
		t.Run(contentType, func(t *testing.T) {
			f := newFakeIngest(t)
			lp := start(t, f)
			rec := relayed(t, lp, http.MethodPost, pathUsage, body, asUser, func(r *http.Request) {
				r.Header.Set("Content-Type", contentType)
				r.Header.Set("X-Correlation-ID", "corr")
				r.Header.Set("Sec-Fetch-Site", "same-origin")
			})
			require.Equal(t, http.StatusAccepted, rec.Code)
			require.Contains(t, rec.Body.String(), `"events_received":5`)
			q := f.seen()[0]
			require.Equal(t, "lp_secret", q.header.Get("X-Lakepulse-Key"))
			require.Equal(t, "corr", q.header.Get("X-Correlation-ID"))
			require.Empty(t, q.header.Get("X-Forwarded-Email"))
			require.EqualValues(t, 4, q.dropped)
			require.NotContains(t, string(q.raw), "spoof")
			require.NotContains(t, string(q.raw), "other")
			require.Len(t, q.events, 5, "places are kept")
			for _, raw := range q.events[:3] {
				var e map[string]any
				require.NoError(t, json.Unmarshal(raw, &e))
				require.Equal(t, "ann@example.com", e["user_id"])
				require.Equal(t, "shop", e["app"])
			}
			require.JSONEq(t, `{"event_type":"page_view","timestamp":"2026-03-01T12:00:00Z","user_id":"ann@example.com","app":"shop","session_id":"s","seq":1}`, string(q.events[0]))
			closeFully(t, lp)
			require.Zero(t, lp.Stats().Performance.Created, "the tracker's traffic is not recorded")
		})
	}
}

func TestRelayAsksTheCountForTheSignedInUser(t *testing.T) {
	f := newFakeIngest(t)
	rec := relayed(t, start(t, f), http.MethodGet, pathUsageCount+"?session_id=s&user_id=spoof", "", asUser)
	require.Equal(t, http.StatusOK, rec.Code)
	require.JSONEq(t, `{"count":3}`, rec.Body.String())
	q := f.seen()[0]
	require.Equal(t, http.MethodGet, q.method)
	require.Equal(t, pathUsageCount, q.path)
	require.Equal(t, "session_id=s&user_id=ann%40example.com", q.query)
}

func TestRelayWithoutAKeyNamesTheUserToACollectorInDevMode(t *testing.T) {
	f := newFakeIngest(t)
	lp := start(t, f, func(c *Config) { c.Key, c.DevUser = "", "me@desk" })
	require.Equal(t, http.StatusOK, relayed(t, lp, http.MethodGet, pathUsageCount, "").Code)
	require.Equal(t, "me@desk", f.seen()[0].header.Get("X-Forwarded-Email"))
	require.Empty(t, f.seen()[0].query, "only a key may name a user in the query")
	require.Equal(t, http.StatusOK, relayed(t, lp, http.MethodGet, pathUsageCount, "", asUser).Code)
	require.Equal(t, "ann@example.com", f.seen()[1].header.Get("X-Forwarded-Email"))
}

func TestRelayRefuses(t *testing.T) {
	f := newFakeIngest(t)
	lp := start(t, f)
	from := func(key, value string) func(*http.Request) {
		return func(r *http.Request) { asUser(r); r.Header.Set(key, value) }
	}
	tests := map[string]struct {
		method, path, body string
		change             func(*http.Request)
		status             int
		says               string
	}{
		"nobody":              {"POST", pathUsage, `{"events":[{}]}`, func(*http.Request) {}, 401, "unauthenticated"},
		"nobody's count":      {"GET", pathUsageCount, "", func(*http.Request) {}, 401, "unauthenticated"},
		"another site":        {"POST", pathUsage, `{"events":[{}]}`, from("Sec-Fetch-Site", "cross-site"), 403, "forbidden"},
		"a sibling app":       {"POST", pathUsage, `{"events":[{}]}`, from("Sec-Fetch-Site", "same-site"), 403, "forbidden"},
		"another origin":      {"POST", pathUsage, `{"events":[{}]}`, from("Origin", "https://evil.example"), 403, "forbidden"},
		"a wrong method":      {"GET", pathUsage, "", asUser, 405, "POST"},
		"an unknown path":     {"GET", "/api/v1/metrics/performance", "", asUser, 404, "not_found"},
		"no JSON":             {"POST", pathUsage, `{`, asUser, 400, "body"},
		"no events":           {"POST", pathUsage, `{"events":[]}`, asUser, 400, "events"},
		"a compressed body":   {"POST", pathUsage, `x`, from("Content-Encoding", "gzip"), 415, "Content-Encoding"},
		"too many events":     {"POST", pathUsage, `{"events":[` + strings.Repeat("{},", 1000) + `{}]}`, asUser, 413, `"max_batch_size":1000,"received":1001`},
		"too large a body":    {"POST", pathUsage, `{"events":["` + strings.Repeat("x", 1<<20) + `"]}`, asUser, 413, `"max_body_bytes":1048576`},
		"a name far too long": {"POST", pathUsage, `{"events":[{}]}`, from("X-Forwarded-Email", strings.Repeat("x", 300)), 401, "unauthenticated"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rec := relayed(t, lp, tt.method, tt.path, tt.body, tt.change)
			require.Equal(t, tt.status, rec.Code)
			require.Contains(t, rec.Body.String(), tt.says)
			var no struct {
				Status int `json:"status_code"`
			}
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &no))
			require.Equal(t, tt.status, no.Status)
		})
	}
	require.Empty(t, f.seen())
}

func TestRelayGivesIngestsAnswer(t *testing.T) {
	tests := map[string]struct {
		status     int
		body       string
		retryAfter string
		want       int
		wantBody   string
		wantRetry  string
	}{
		"accepted":           {202, `{"events_received":1}`, "", 202, `{"events_received":1}`, ""},
		"refused":            {400, `{"rejected":[]}`, "", 400, `{"rejected":[]}`, ""},
		"too large":          {413, `{"detail":"x"}`, "", 413, `{"detail":"x"}`, ""},
		"unavailable":        {503, `{"message":"x"}`, "9", 503, `{"message":"x"}`, "9"},
		"the app is refused": {401, `{"message":"no such key"}`, "", 503, "refuses this app", "5"},
		"a gateway's page":   {502, `<html>`, "", 503, "makes no sense", "5"},
		"a sign-in page":     {302, ``, "", 503, "refuses this app", "5"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeIngest(t)
			f.answers(func(_ int, w http.ResponseWriter, _ *fakeRequest) bool {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
				return true
			})
			rec := relayed(t, start(t, f), http.MethodPost, pathUsage, `{"events":[{}]}`, asUser)
			require.Equal(t, tt.want, rec.Code)
			require.Contains(t, rec.Body.String(), tt.wantBody)
			require.Equal(t, tt.wantRetry, rec.Header().Get("Retry-After"))
		})
	}
}

func TestRelayWithoutACollectorAnswers503(t *testing.T) {
	f := newFakeIngest(t)
	f.Close()
	rec := relayed(t, start(t, f), http.MethodPost, pathUsage, `{"events":[{}]}`, asUser)
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Equal(t, "5", rec.Header().Get("Retry-After"))
}

func TestRelayIsBoundedInTimeAndNumber(t *testing.T) {
	held := make(chan struct{})
	inside := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees the relay leave
		select {
		case inside <- struct{}{}:
			<-held
		case <-r.Context().Done():
		case <-held:
		}
	}))
	defer slow.Close()
	defer close(held)
	lp := start(t, nil, func(c *Config) { c.URL = slow.URL })
	h := lp.Relay(RelayConfig{Timeout: 50 * time.Millisecond, Concurrency: 1})
	send := func() int {
		r := httptest.NewRequest(http.MethodPost, pathUsage, strings.NewReader(`{"events":[{}]}`))
		asUser(r)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Code
	}
	first := make(chan int)
	go func() { first <- send() }()
	<-inside
	require.Equal(t, http.StatusServiceUnavailable, send(), "no turn, or no answer in time")
	require.Equal(t, http.StatusServiceUnavailable, <-first, "no answer in time")
}
