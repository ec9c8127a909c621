package lakepulse

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeIngest answers as ingest does and keeps what it accepted.
type fakeIngest struct {
	*httptest.Server
	t *testing.T

	mu          sync.Mutex
	requests    []fakeRequest
	answer      func(n int, w http.ResponseWriter, q *fakeRequest) bool // true: it has answered
	performance []Performance
	usage       []Usage
	arrived     chan struct{}
}

type fakeRequest struct {
	method, path, query string
	header              http.Header
	raw                 []byte
	events              []json.RawMessage
	dropped             int64
}

func newFakeIngest(t *testing.T) *fakeIngest {
	f := &fakeIngest{t: t, arrived: make(chan struct{}, 1<<16)}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// answers sets what happens to request n, counted from 1.
func (f *fakeIngest) answers(a func(n int, w http.ResponseWriter, q *fakeRequest) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = a
}

func (f *fakeIngest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return // the client left
	}
	q := fakeRequest{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, header: r.Header.Clone(), raw: raw}
	var in struct {
		Events  []json.RawMessage `json:"events"`
		Dropped int64             `json:"dropped"`
	}
	if r.Method == http.MethodPost {
		if err := json.Unmarshal(raw, &in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	q.events, q.dropped = in.Events, in.Dropped
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, q)
	defer func() { f.arrived <- struct{}{} }()
	if f.answer != nil && f.answer(len(f.requests), w, &q) {
		return
	}
	f.accept(w, &q)
}

// accept keeps the events and answers 202; the lock is held.
func (f *fakeIngest) accept(w http.ResponseWriter, q *fakeRequest) {
	if q.method == http.MethodGet {
		testWriteJSON(w, http.StatusOK, map[string]any{"count": 3})
		return
	}
	for _, raw := range q.events {
		if q.path == pathPerformance {
			var p Performance
			if json.Unmarshal(raw, &p) == nil {
				f.performance = append(f.performance, p)
			}
		} else {
			var u Usage
			if json.Unmarshal(raw, &u) == nil {
				f.usage = append(f.usage, u)
			}
		}
	}
	testWriteJSON(w, http.StatusAccepted, map[string]any{
		"message": "Events accepted", "events_received": len(q.events), "status": "processing", "server_time": time.Now(),
	})
}

func (f *fakeIngest) stored() []Performance {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Performance(nil), f.performance...)
}

func (f *fakeIngest) storedUsage() []Usage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Usage(nil), f.usage...)
}

func (f *fakeIngest) seen() []fakeRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]fakeRequest(nil), f.requests...)
}

func testWriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader may have left
}

// start makes a client that sends soon and retries at once; it is closed with the test.
func start(t *testing.T, f *fakeIngest, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		App: "shop", Key: "lp_secret", FlushInterval: time.Millisecond,
		RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond,
	}
	if f != nil {
		cfg.URL = f.URL
	}
	for _, c := range change {
		c(&cfg)
	}
	lp, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = lp.Close(closedContext()) }) // most tests have closed it and looked
	return lp
}

func closedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// closeFully flushes; a test that hangs here is ended by the test's own timeout.
func closeFully(t *testing.T, lp *Client) {
	t.Helper()
	require.NoError(t, lp.Close(context.Background()))
	balanced(t, lp)
}

// balanced checks the invariant of the accounts.
func balanced(t *testing.T, lp *Client) {
	t.Helper()
	for _, a := range []Account{lp.Stats().Performance, lp.Stats().Usage} {
		require.Equal(t, a.Created, a.Accepted+a.Rejected+a.Dropped+a.Withheld+a.Buffered)
		require.GreaterOrEqual(t, a.Buffered, int64(0))
	}
}

func get(t *testing.T, h http.Handler, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func newLogger(w io.Writer) *log.Logger { return log.New(w, "", 0) }
