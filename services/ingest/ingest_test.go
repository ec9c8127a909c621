package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api/apitest"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/ingest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func clock() time.Time { return now }

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

const (
	usagePath       = "/api/v1/metrics/usage-events"
	performancePath = "/api/v1/metrics/performance-events"
)

// log is the event log of a test: it keeps what is published, or fails.
type log struct {
	mu      sync.Mutex
	batches []event.Batch
	reports []stream.LedgerReport
	err     error
}

func (l *log) Publish(_ context.Context, b *event.Batch, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.batches = append(l.batches, *b)
	return nil
}

func (l *log) report(_ context.Context, r stream.LedgerReport) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, r)
	return l.err
}

func (l *log) usage() (all []event.Usage) {
	for _, b := range l.batches {
		all = append(all, b.Usage...)
	}
	return all
}

func (l *log) performance() (all []event.Performance) {
	for _, b := range l.batches {
		all = append(all, b.Performance...)
	}
	return all
}

// callers authenticates by a header of the test's own.
type callers map[string]auth.Caller

func (c callers) Authenticate(r *http.Request) (auth.Caller, error) {
	caller, ok := c[r.Header.Get("Test-Caller")]
	if !ok {
		return auth.Caller{}, fault.New(fault.Unauthenticated, "Authentication required")
	}
	return caller, nil
}

var everybody = callers{
	"dev":     {Kind: auth.KindUser, UserID: "dev@localhost", Admin: true},
	"ada":     {Kind: auth.KindUser, UserID: "ada@example.com"},
	"key":     {Kind: auth.KindApp, App: "orders"},
	"service": {Kind: auth.KindService, UserID: "sp"},
}

type bundle struct {
	log     *log
	service *ingest.Service
	handler http.Handler
}

func setup(t *testing.T, change ...func(*ingest.Config)) bundle {
	t.Helper()
	cfg := ingest.DefaultConfig()
	for _, c := range change {
		c(&cfg)
	}
	l := &log{}
	s, err := ingest.New(ingest.Params{
		Config: cfg, Publisher: l, Reports: l.report, Now: func() time.Time { return now }, Log: testkit.Logger(t),
	})
	require.NoError(t, err)
	h := apitest.Handler(t, httpapi.NewHandler(httpapi.HandlerParams{Routes: s.Routes(), Auth: everybody, Log: testkit.Logger(t)}))
	return bundle{log: l, service: s, handler: h}
}

func keyless(c *ingest.Config) { c.Keyless = true }

type reply struct {
	code   int
	header http.Header
	body   struct {
		Message        string         `json:"message"`
		EventsReceived int            `json:"events_received"`
		Status         string         `json:"status"`
		ServerTime     time.Time      `json:"server_time"`
		Error          string         `json:"error"`
		StatusCode     int            `json:"status_code"`
		Details        map[string]any `json:"details"`
		Detail         string         `json:"detail"`
		MaxBatchSize   int            `json:"max_batch_size"`
		Received       int            `json:"received"`
		Rejected       []struct {
			Index  int    `json:"index"`
			ID     string `json:"id"`
			Field  string `json:"field"`
			Reason string `json:"reason"`
		} `json:"rejected"`
	}
}

func (b bundle) send(t *testing.T, caller, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, body)
	r.Header.Set("Test-Caller", caller)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	got := reply{code: w.Code, header: w.Header()}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got.body), "answer: %s", w.Body)
	require.NotEmpty(t, got.header.Get("X-Correlation-ID"))
	return got
}

func (b bundle) post(t *testing.T, caller, path, body string) reply {
	t.Helper()
	return b.send(t, caller, path, strings.NewReader(body))
}

func batch(events ...string) string { return `{"events":[` + strings.Join(events, ",") + `]}` }

const at = `"timestamp":"2026-03-14T15:09:00.123456789Z"`

func click(more string) string { return `{"event_type":"button_click",` + at + more + `}` }
func call(more string) string {
	return `{"endpoint":"/a","method":"GET","status_code":200,"response_time_ms":1.5,` + at + more + `}`
}

func TestAccepted(t *testing.T) {
	t.Parallel()

	t.Run("the answer counts what is in the log", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.post(t, "ada", usagePath, batch(click(`,"id":"018f0000-0000-7000-8000-000000000001"`), click("")))
		require.Equal(t, http.StatusAccepted, got.code)
		require.Equal(t, "Events accepted", got.body.Message)
		require.Equal(t, 2, got.body.EventsReceived)
		require.Equal(t, "processing", got.body.Status)
		require.Equal(t, now, got.body.ServerTime)
		kept := b.log.usage()
		require.Len(t, kept, 2)
		require.Equal(t, "018f0000-0000-7000-8000-000000000001", kept[0].ID.String())
		require.NotEqual(t, kept[0].ID, kept[1].ID)
		require.Equal(t, "default", kept[0].App)
		require.Equal(t, now, kept[0].ReceivedAt)
		require.Equal(t, 123456000, kept[0].Timestamp.Nanosecond(), "cut to microseconds")
	})

	t.Run("text/plain, any charset and gzip are read alike", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		_, err := zw.Write([]byte(batch(click(""))))
		require.NoError(t, err)
		require.NoError(t, zw.Close())
		b := setup(t)
		require.Equal(t, 202, b.send(t, "ada", usagePath, strings.NewReader(batch(click(""))), "Content-Type", "text/plain;charset=UTF-8").code)
		require.Equal(t, 202, b.send(t, "ada", usagePath, strings.NewReader(batch(click(""))), "Content-Type", "application/json").code)
		require.Equal(t, 202, b.send(t, "ada", usagePath, &packed, "Content-Encoding", "gzip").code)
		require.Len(t, b.log.usage(), 3)
	})

	t.Run("good events of a mixed batch are kept", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.post(t, "key", performancePath, batch(call(""), call(`,"status_code":42,"id":"018f0000-0000-7000-8000-000000000002"`), `7`, call(`,"user_id":5`), call("")))
		require.Equal(t, 202, got.code)
		require.Equal(t, 2, got.body.EventsReceived)
		require.Len(t, got.body.Rejected, 3)
		require.Equal(t, 1, got.body.Rejected[0].Index)
		require.Equal(t, "018f0000-0000-7000-8000-000000000002", got.body.Rejected[0].ID)
		require.Equal(t, "status_code", got.body.Rejected[0].Field)
		require.Equal(t, "events", got.body.Rejected[1].Field)
		require.Equal(t, "user_id", got.body.Rejected[2].Field)
		require.Equal(t, "must be a string", got.body.Rejected[2].Reason)
		require.Len(t, b.log.performance(), 2)
	})

	t.Run("a thousand events are not too many", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.post(t, "ada", usagePath, batch(strings.Split(strings.Repeat(click("")+"|", 999)+click(""), "|")...))
		require.Equal(t, 202, got.code)
		require.Equal(t, 1000, got.body.EventsReceived)
	})

	t.Run("what a newer sender adds is ignored", func(t *testing.T) {
		t.Parallel()
		got := setup(t).post(t, "ada", usagePath, `{"schema":{"v":[2]},"events":[`+click(`,"colour":{"a":[1]}`)+`],"dropped":3}`)
		require.Equal(t, 202, got.code)
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()

	t.Run("a person's events are theirs whatever the body says", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, 202, b.post(t, "ada", usagePath, batch(click(`,"user_id":"eve@example.com"`))).code)
		require.Equal(t, "ada@example.com", b.log.usage()[0].UserID)
	})

	t.Run("a developer may name users", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		require.Equal(t, 202, b.post(t, "dev", usagePath, batch(click(`,"user_id":"eve@example.com"`), click(""))).code)
		require.Equal(t, "eve@example.com", b.log.usage()[0].UserID)
		require.Equal(t, "dev@localhost", b.log.usage()[1].UserID)
	})

	t.Run("an app names the user of each event", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.post(t, "key", usagePath, batch(click(`,"user_id":"bob"`), click("")))
		require.Equal(t, 1, got.body.EventsReceived)
		require.Equal(t, "user_id", got.body.Rejected[0].Field)
		require.Equal(t, "orders", b.log.usage()[0].App)
	})

	t.Run("a key speaks for its own app alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.post(t, "key", performancePath, batch(call(`,"app":"orders"`), call(`,"app":"billing"`)))
		require.Equal(t, 1, got.body.EventsReceived)
		require.Equal(t, "app", got.body.Rejected[0].Field)
	})

	t.Run("performance events need a key", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, http.StatusForbidden, setup(t).post(t, "ada", performancePath, batch(call(""))).code)
		require.Equal(t, http.StatusAccepted, setup(t, keyless).post(t, "dev", performancePath, batch(call(""))).code)
	})

	t.Run("a service principal names its app", func(t *testing.T) {
		t.Parallel()
		got := setup(t).post(t, "service", performancePath, batch(call(""), call(`,"app":"jobs"`)))
		require.Equal(t, 1, got.body.EventsReceived)
		require.Equal(t, "app", got.body.Rejected[0].Field)
	})

	t.Run("without proof of identity nothing is taken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, http.StatusUnauthorized, b.post(t, "", usagePath, batch(click(""))).code)
		require.Empty(t, b.log.batches)
	})

	t.Run("events of several apps go to several messages", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		require.Equal(t, 202, b.post(t, "dev", performancePath, batch(call(`,"app":"a"`), call(`,"app":"b"`), call(`,"app":"a"`))).code)
		require.Len(t, b.log.batches, 2)
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	bodies := map[string]struct {
		body  string
		code  int
		field string
	}{
		"not JSON":                {"hello", 400, "body"},
		"nothing":                 {"", 400, "body"},
		"a list":                  {"[]", 400, "body"},
		"half a document":         {`{"events":[` + click("") + `,{"event_t`, 400, "body"},
		"a document and a half":   {batch(click("")) + "{", 400, "body"},
		"no events member":        {`{}`, 400, "events"},
		"events that are none":    {`{"events":{"a":1}}`, 400, "events"},
		"an empty list":           {batch(), 400, "events"},
		"dropped below zero":      {`{"events":[` + click("") + `],"dropped":-1}`, 400, "dropped"},
		"dropped past belief":     {`{"events":[` + click("") + `],"dropped":9223372036854775807}`, 400, "dropped"},
		"a vanishing number":      {batch(click(`,"metadata":{"x":1e-200000}`)), 400, "metadata"},
		"a seq past exactness":    {batch(click(`,"seq":9007199254740993`)), 400, "seq"},
		"an unknown type shape":   {batch(`{"event_type":"Click!",` + at + `}`), 400, "event_type"},
		"a type that is a number": {batch(`{"event_type":5,` + at + `}`), 400, "event_type"},
		"no timestamp":            {batch(`{"event_type":"x"}`), 400, "timestamp"},
		"a timestamp in words":    {batch(`{"event_type":"x","timestamp":"yesterday"}`), 400, "timestamp"},
		"a future timestamp":      {batch(`{"event_type":"x","timestamp":"2026-03-14T15:14:27Z"}`), 400, "timestamp"},
		"a timestamp too old":     {batch(`{"event_type":"x","timestamp":"2026-03-07T15:09:25Z"}`), 400, "timestamp"},
		"NUL in a string":         {batch(click(`,"page_name":"a\u0000b"`)), 400, "page_name"},
		"broken UTF-8":            {batch(click(",\"page_name\":\"\xff\"")), 400, "page_name"},
		"a lone surrogate":        {batch(click(`,"page_name":"\ud800"`)), 400, "page_name"},
		"a bad id":                {batch(click(`,"id":"17"`)), 400, "id"},
		"the nil id":              {batch(click(`,"id":"00000000-0000-0000-0000-000000000000"`)), 400, "id"},
		"metadata of a megabyte":  {batch(click(`,"metadata":{"a":"` + strings.Repeat("x", 1<<20) + `"}`)), 400, "metadata"},
		"metadata that is none":   {batch(click(`,"metadata":"a"`)), 400, "metadata"},
		"success of another type": {batch(click(`,"success":"yes"`)), 400, "success"},
		"a fraction of a seq":     {batch(click(`,"seq":1.5`)), 400, "seq"},
	}
	for name, c := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got := b.post(t, "ada", usagePath, c.body)
			require.Equal(t, c.code, got.code)
			require.Equal(t, c.code, got.body.StatusCode)
			require.Equal(t, c.field, got.body.Details["field"])
			require.Contains(t, got.body.Message, c.field)
			require.Empty(t, b.log.batches)
		})
	}

	calls := map[string]string{
		`,"status_code":42`:                              "status_code",
		`,"status_code":"200"`:                           "status_code",
		`,"status_code":200.5`:                           "status_code",
		`,"status_code":1e300`:                           "status_code",
		`,"response_time_ms":-1`:                         "response_time_ms",
		`,"response_time_ms":1e999`:                      "response_time_ms",
		`,"response_time_ms":"fast"`:                     "response_time_ms",
		`,"response_time_ms":true`:                       "response_time_ms",
		`,"method":""`:                                   "method",
		`,"response_time_ms":86400000.5`:                 "response_time_ms",
		`,"endpoint":""`:                                 "endpoint",
		`,"endpoint":"` + strings.Repeat("a", 501) + `"`: "endpoint",
		`,"app":"a b"`:                                   "app",
	}
	for more, field := range calls {
		t.Run(fmt.Sprintf("performance: %.30s", more), func(t *testing.T) {
			t.Parallel()
			got := setup(t, keyless).post(t, "dev", performancePath, batch(call(more)))
			require.Equal(t, 400, got.code)
			require.Equal(t, field, got.body.Rejected[0].Field)
		})
	}

	t.Run("a response time must be there", func(t *testing.T) {
		t.Parallel()
		got := setup(t, keyless).post(t, "dev", performancePath, batch(`{"endpoint":"/","method":"GET","status_code":200,`+at+`}`))
		require.Equal(t, "response_time_ms", got.body.Rejected[0].Field)
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()

	t.Run("1001 events are too many", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.post(t, "ada", usagePath, batch(strings.Split(strings.Repeat(click("")+"|", 1000)+click(""), "|")...))
		require.Equal(t, http.StatusRequestEntityTooLarge, got.code)
		require.Equal(t, "Batch size exceeds maximum of 1000 events", got.body.Detail)
		require.Equal(t, 1000, got.body.MaxBatchSize)
		require.Equal(t, 1001, got.body.Received)
		require.Equal(t, 413, got.body.StatusCode)
		require.Empty(t, b.log.batches)
	})

	t.Run("11 MB are too much, announced or not", func(t *testing.T) {
		t.Parallel()
		body := batch(click(`,"x":"` + strings.Repeat("a", 11<<20) + `"`))
		require.Equal(t, 413, setup(t).post(t, "ada", usagePath, body).code)
		unannounced := struct{ io.Reader }{strings.NewReader(body)}
		require.Equal(t, 413, setup(t).send(t, "ada", usagePath, unannounced).code)
	})

	t.Run("a gzip bomb is cut off", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		zeros := make([]byte, 1<<20)
		for range 200 {
			_, err := zw.Write(zeros)
			require.NoError(t, err)
		}
		require.NoError(t, zw.Close())
		require.Less(t, packed.Len(), 1<<20)
		require.Equal(t, 413, setup(t).send(t, "ada", usagePath, &packed, "Content-Encoding", "gzip").code)
	})

	t.Run("gzip that is none and encodings we do not read", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 400, setup(t).send(t, "ada", usagePath, strings.NewReader("{}"), "Content-Encoding", "gzip").code)
		require.Equal(t, 400, setup(t).send(t, "ada", usagePath, strings.NewReader("{}"), "Content-Encoding", "br").code)
	})

	t.Run("a body that stops half-way", func(t *testing.T) {
		t.Parallel()
		half := io.MultiReader(strings.NewReader(`{"events":[`), failing{})
		require.Equal(t, 400, setup(t).send(t, "ada", usagePath, half).code)
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var errAway = fault.Wrap(errors.New("no responders"), fault.Unavailable, "The event log is not available").After(2 * time.Second)

func TestLogAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log.err = errAway
	got := b.post(t, "ada", usagePath, batch(click("")))
	require.Equal(t, http.StatusServiceUnavailable, got.code)
	require.Equal(t, "2", got.header.Get("Retry-After"))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *ingest.Config) { c.LedgerEvery = time.Hour })
	b.service.Start()
	require.Equal(t, 202, b.post(t, "key", performancePath, `{"events":[`+call("")+`,`+call(`,"status_code":1`)+`],"dropped":4}`).code)
	require.Equal(t, 400, b.post(t, "key", performancePath, `{"events":[`+call(`,"status_code":1`)+`],"dropped":9}`).code)
	require.NoError(t, b.service.Stop(t.Context()))
	require.Len(t, b.log.reports, 1)
	require.ElementsMatch(t, []stream.LedgerEntry{
		{App: "orders", Kind: event.KindPerformance, Outcome: stream.OutcomeAccepted, Events: 1},
		{App: "orders", Kind: event.KindPerformance, Outcome: stream.OutcomeRefused, Reason: "status_code", Events: 2},
		{App: "orders", Kind: event.KindPerformance, Outcome: stream.OutcomeDropped, Events: 4},
	}, b.log.reports[0].Entries, "a sender that is not answered 202 reports its losses again: they are counted once")
}
