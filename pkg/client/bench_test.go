package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/lakepulse/lakepulse/pkg/event"
)

type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header         { return n.h }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

var trivial = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(okBody) })

var okBody = []byte("ok")

func benchmark(b *testing.B, h http.Handler) {
	w := &nowhere{h: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/items/7", nil)
	r.Header.Set("X-Forwarded-Email", "ann@example.com")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "bench")
	r.Pattern = "GET /items/{item}"
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// BenchmarkBare is the handler alone.
func BenchmarkBare(b *testing.B) { benchmark(b, trivial) }

type acceptAll struct{}

func (acceptAll) Send(_ context.Context, b *event.Batch, _ int64) (Result, error) {
	return Result{Accepted: b.Len()}, nil
}

func benchmarkClient(b *testing.B, cfg Config) {
	lp, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = lp.Close(closedContext()) }) // what is left is of no interest
	benchmark(b, lp.Middleware(trivial))
	b.StopTimer()
	s := lp.Stats().Performance
	b.ReportMetric(100*float64(s.Dropped)/float64(s.Created), "%dropped")
}

// BenchmarkMiddleware records each request and encodes and posts the batches.
func BenchmarkMiddleware(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	}))
	b.Cleanup(srv.Close)
	benchmarkClient(b, Config{URL: srv.URL, App: "bench"})
}

// BenchmarkMiddlewareInProcess has a sink that costs nothing: ids, names and
// batches are what is left.
func BenchmarkMiddlewareInProcess(b *testing.B) {
	benchmarkClient(b, Config{Sink: acceptAll{}, App: "bench"})
}

// BenchmarkMiddlewareOutage has no collector at all.
func BenchmarkMiddlewareOutage(b *testing.B) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	benchmarkClient(b, Config{URL: srv.URL, App: "bench"})
}
