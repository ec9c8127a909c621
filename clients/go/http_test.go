package lakepulse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARequestToIngest(t *testing.T) {
	for name, plain := range map[string]bool{"compressed": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			f := newFakeIngest(t)
			lp := start(t, f, func(c *Config) {
				c.NoGzip = plain
				c.URL += "/"
				c.Authorize = func(r *http.Request) error { r.Header.Set("Authorization", "Bearer token"); return nil }
			})
			get(t, lp.Middleware(status(200)), "/x")
			closeFully(t, lp)
			q := f.seen()[0]
			require.Equal(t, pathPerformance, q.path)
			require.Equal(t, "lp_secret", q.header.Get("X-Lakepulse-Key"))
			require.Equal(t, "Bearer token", q.header.Get("Authorization"))
			require.Equal(t, "application/json", q.header.Get("Content-Type"))
			require.Equal(t, plain, q.header.Get("Content-Encoding") == "")
			require.NotContains(t, string(q.raw), "dropped")
		})
	}
}

func TestAnswersOfIngest(t *testing.T) {
	answer := func(status int, body string, headers ...string) *http.Response {
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		resp     *http.Response
		accepted int
		rejected int
		class    Class
		retry    time.Duration
		fails    bool
	}{
		"202 accepts all":             {answer(202, `{"events_received":3}`), 3, 0, 0, 0, false},
		"202 accepts some":            {answer(202, `{"events_received":2,"rejected":[{"index":1,"field":"x","reason":"y"}]}`), 2, 1, 0, 0, false},
		"202 that broke off":          {answer(202, `{"events_re`), 3, 0, 0, 0, false},
		"400 with all rejected":       {answer(400, `{"rejected":[{"index":0,"field":"x","reason":"y"}]}`), 0, 1, 0, 0, false},
		"400 for the body":            {answer(400, `{"message":"bad"}`), 0, 0, Invalid, 0, true},
		"200 is no acceptance":        {answer(200, `<html>`), 0, 0, Denied, 0, true},
		"a redirect to a sign-in":     {answer(302, ``, "Location", "/login"), 0, 0, Denied, 0, true},
		"401":                         {answer(401, `{"message":"no such key"}`), 0, 0, Denied, 0, true},
		"403":                         {answer(403, ``), 0, 0, Denied, 0, true},
		"404":                         {answer(404, ``), 0, 0, Denied, 0, true},
		"413":                         {answer(413, ``), 0, 0, TooLarge, 0, true},
		"429 with seconds":            {answer(429, ``, "Retry-After", "7"), 0, 0, Temporary, 7 * time.Second, true},
		"503 with a date":             {answer(503, ``, "Retry-After", now.Add(time.Minute).Format(http.TimeFormat)), 0, 0, Temporary, time.Minute, true},
		"503 with nonsense":           {answer(503, ``, "Retry-After", "soon"), 0, 0, Temporary, 0, true},
		"502 of a gateway on the way": {answer(502, `<html>`), 0, 0, Temporary, 0, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			body, err := io.ReadAll(tt.resp.Body)
			require.NoError(t, err)
			res, err := readAnswer(tt.resp, body, 3, now)
			if !tt.fails {
				require.NoError(t, err)
				require.Equal(t, tt.accepted, res.Accepted)
				require.Len(t, res.Rejected, tt.rejected)
				return
			}
			f := classify(err)
			require.Equal(t, tt.class, f.Class)
			require.Equal(t, tt.retry, f.RetryAfter)
		})
	}
}

func TestARetryOverHTTPSendsTheSameEvents(t *testing.T) {
	f := newFakeIngest(t)
	f.answers(func(n int, w http.ResponseWriter, _ *fakeRequest) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 2: // stored, but the answer is lost
			f.performance = nil
			panic(http.ErrAbortHandler)
		}
		return false
	})
	lp := start(t, f)
	h := lp.Middleware(status(200))
	for range 5 {
		get(t, h, "/x")
	}
	for range 3 {
		<-f.arrived
	}
	closeFully(t, lp)
	first := f.seen()[0]
	require.Equal(t, first.events, f.seen()[1].events[:len(first.events)])
	ids := map[ID]bool{}
	for _, p := range f.stored() {
		require.False(t, ids[p.ID])
		ids[p.ID] = true
	}
	require.Len(t, ids, 5)
}

func TestNoRedirectIsFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Fail(t, "the key must not travel", r.URL.Path)
	}))
	defer elsewhere.Close()
	f := newFakeIngest(t)
	f.answers(func(n int, w http.ResponseWriter, _ *fakeRequest) bool {
		if n == 1 {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
		return n == 1
	})
	lp := start(t, f, func(c *Config) { c.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} })
	get(t, lp.Middleware(status(200)), "/x")
	<-f.arrived
	<-f.arrived
	closeFully(t, lp)
	require.Len(t, f.stored(), 1)
}

func TestNoLogOrErrorHasTheKey(t *testing.T) {
	var log bytes.Buffer
	f := newFakeIngest(t)
	f.answers(func(_ int, w http.ResponseWriter, _ *fakeRequest) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	cfg := Config{URL: f.URL, Key: "lp_secret", Logger: slog.New(slog.NewJSONHandler(&log, nil)), RetryMin: time.Microsecond}
	lp, err := New(cfg)
	require.NoError(t, err)
	get(t, lp.Middleware(status(200)), "/x")
	relayed(t, lp, http.MethodPost, pathUsage, `{"events":[{}]}`, asUser)
	err = lp.Close(context.Background())
	require.Error(t, err)
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "config", cfg)
	require.Contains(t, log.String(), "status 401")
	require.Contains(t, log.String(), "Key:set")
	require.NotContains(t, log.String()+err.Error(), "lp_secret")
}

// TestTheWireFormatIsTheEventsJSON keeps the hand-written encoder honest.
func TestTheWireFormatIsTheEventsJSON(t *testing.T) {
	seq, yes := int64(7), true
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	odd := "a\"b\\c\n<é>\u2028\x7f"
	performance := []Performance{
		{ID: newIDs(1).next(at), Timestamp: at, Endpoint: "/x", Method: "GET", StatusCode: 200, ResponseTimeMS: 0.25},
		{
			ID: newIDs(1).next(at), Timestamp: at, App: odd, Instance: odd, Endpoint: odd, Method: "GET", StatusCode: 500,
			ResponseTimeMS: 123456.789, UserID: odd, ErrorType: odd, AppVersion: odd, SessionID: odd, InteractionID: odd,
			TraceID: odd, CorrelationID: odd, Seq: &seq,
		},
	}
	usage := []Usage{
		{ID: newIDs(1).next(at), Timestamp: at, EventType: "a", UserID: "u"},
		{
			ID: newIDs(1).next(at), Timestamp: at, App: odd, EventType: "a", UserID: odd, PageName: odd, ElementID: odd, Success: &yes,
			Metadata: json.RawMessage(`{"a":[1,"x"]}`), AppVersion: odd, SessionID: odd, InteractionID: odd,
		},
	}
	var got struct {
		Events  []Performance
		Dropped int64
	}
	require.NoError(t, json.Unmarshal(appendBatch(nil, &Batch{Performance: performance}, 3), &got))
	require.Equal(t, performance, got.Events)
	require.EqualValues(t, 3, got.Dropped)
	var people struct{ Events []Usage }
	require.NoError(t, json.Unmarshal(appendBatch(nil, &Batch{Usage: usage}, 0), &people))
	require.Equal(t, usage, people.Events)
}

func TestTheClockFollowsIngest(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answer := func(o *offset, trip, ahead time.Duration) { o.learn(at, at.Add(trip), at.Add(trip/2+ahead)) }
	o := &offset{}
	answer(o, 0, time.Second)
	require.Zero(t, o.now(), "a second is no reason to touch timestamps")
	for range 3 {
		answer(o, 100*time.Millisecond, time.Hour)
	}
	require.Equal(t, time.Hour, o.now())
	answer(o, 0, -9*time.Hour)
	require.Equal(t, time.Hour, o.now(), "one odd answer does not move it")
	answer(o, time.Minute, 0)
	o.learn(at, at, time.Time{})
	require.Equal(t, time.Hour, o.now(), "nor one that says nothing")
	for range 5 {
		answer(o, 0, 0)
	}
	require.Zero(t, o.now())
}

func TestNewRecordsGetTheCorrectedClock(t *testing.T) {
	f := newFakeIngest(t)
	behind := func() time.Time { return time.Now().Add(-time.Hour) }
	lp := start(t, f, func(c *Config) { c.Clock = behind })
	h := lp.Middleware(status(200))
	get(t, h, "/first")
	<-f.arrived
	for len(lp.performance.clock.samplesNow()) == 0 { // the answer is on its way
		get(t, h, "/first")
		<-f.arrived
	}
	get(t, h, "/last")
	closeFully(t, lp)
	for _, p := range f.stored() {
		if p.Endpoint == "/last" {
			require.WithinDuration(t, time.Now(), p.Timestamp, time.Minute)
			return
		}
	}
	require.Fail(t, "the last one is missing")
}

func (o *offset) samplesNow() []time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.samples
}

func TestTrack(t *testing.T) {
	f := newFakeIngest(t)
	lp := start(t, f, func(c *Config) { c.AppVersion = "1" })
	r := request("/x")
	r.Header.Set("X-Forwarded-Email", "ann@example.com")
	r.Header.Set("X-Lakepulse-Session-Id", "tab")
	r.Header.Set("X-Lakepulse-Interaction-Id", "click")
	yes := true
	require.NoError(t, lp.Track(r, UsageEvent{
		EventType: TypeQueryExecuted, PageName: "sql", ElementID: "run", Success: &yes, Metadata: map[string]any{"rows": 3},
	}))
	for name, bad := range map[string]UsageEvent{
		"user_id":    {EventType: "x"},
		"event_type": {EventType: "X!", UserID: "u"},
		"metadata":   {EventType: "x", UserID: "u", Metadata: map[string]any{"x": strings.Repeat("y", 9000)}},
		"timestamp":  {EventType: "x", UserID: "u", Time: time.Now().Add(time.Hour)},
	} {
		err := lp.Track(nil, bad)
		var field *FieldError
		require.True(t, errors.As(err, &field), name)
		require.Equal(t, name, field.Field)
	}
	require.Error(t, lp.Track(nil, UsageEvent{EventType: "x", UserID: "u", Metadata: map[string]any{"x": func() {}}}))
	closeFully(t, lp)
	require.Len(t, f.storedUsage(), 1)
	u := f.storedUsage()[0]
	require.Nil(t, u.check())
	require.Equal(t, "ann@example.com tab click sql run 1", strings.Join(
		[]string{u.UserID, u.SessionID, u.InteractionID, u.PageName, u.ElementID, u.AppVersion}, " "))
	require.JSONEq(t, `{"rows":3}`, string(u.Metadata))
	require.Equal(t, Account{Created: 1, Accepted: 1}, lp.Stats().Usage)
}

func TestMetadataThatWaitsIsBounded(t *testing.T) {
	f := newFakeIngest(t)
	f.Close()
	lp := start(t, f, func(c *Config) { c.RetryMin = time.Hour })
	e := UsageEvent{EventType: "x", UserID: "u", Metadata: map[string]any{"x": strings.Repeat("y", 8000)}}
	for range 1600 {
		require.NoError(t, lp.Track(nil, e))
	}
	a := lp.Stats().Usage
	require.LessOrEqual(t, a.Buffered, int64(maxWaitingMetadata/8000+DefaultBatchSize))
	require.EqualValues(t, 1600, a.Created)
	balanced(t, lp)
}
