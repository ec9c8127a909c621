//go:build go1.24

package lakepulse

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
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

func (acceptAll) Send(_ context.Context, b *Batch, _ int64) (Result, error) {
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

// BenchmarkBatch is what the background does for one record: event, id, JSON, gzip.
func BenchmarkBatch(b *testing.B) {
	for name, plain := range map[string]bool{"gzip": false, "plain": true} {
		b.Run(name, func(b *testing.B) {
			cfg := (&Config{App: "bench", NoGzip: plain}).withDefaults()
			f := newFiller(&cfg, &offset{}, cfg.Clock())
			s := newHTTPSink(&cfg, nil)
			records := make([]record, cfg.BatchSize)
			for i := range records {
				records[i] = record{
					at: time.Duration(i) * time.Millisecond, took: time.Duration(i*i) * time.Microsecond, endpoint: "/items/{item}",
					method: http.MethodGet, status: 200, user: "ann@example.com", correlation: "0b1c4c1e-7c1e-4c1e-9c1e-0b1c4c1e7c1e",
				}
			}
			batch := Batch{Kind: KindPerformance}
			b.ReportAllocs()
			n, size := 0, 0
			for b.Loop() {
				batch.Performance = batch.Performance[:0]
				f.fill(records, &batch)
				s.plain = appendBatch(s.plain[:0], &batch, 0)
				body, _, err := s.pack()
				if err != nil {
					b.Fatal(err)
				}
				n, size = n+len(records), size+len(body)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
			b.ReportMetric(float64(size)/float64(n), "B/record")
		})
	}
}
