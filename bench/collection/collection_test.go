package collection_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
)

type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

var ok = []byte("ok")

var trivial = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(ok) // it goes nowhere
})

func serve(b *testing.B, h http.Handler) {
	w := &nowhere{header: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/items/7", nil)
	r.Header.Set("X-Forwarded-Email", "ann@example.com")
	r.Header.Set("User-Agent", "bench")
	r.Pattern = "GET /items/{item}"
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkBare(b *testing.B) { serve(b, trivial) }

// BenchmarkChannel is the least that recording can be.
func BenchmarkChannel(b *testing.B) {
	type record struct {
		at   time.Time
		took time.Duration
		path string
	}
	records := make(chan *record, 1024)
	go func() {
		for range records { //nolint:revive // they are taken, and that is all
		}
	}()
	b.Cleanup(func() { close(records) })
	serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		trivial.ServeHTTP(w, r)
		select {
		case records <- &record{at, time.Since(at), r.Pattern}:
		default:
		}
	}))
}

// BenchmarkPromhttp counts and times by code and method.
func BenchmarkPromhttp(b *testing.B) {
	reg := prometheus.NewRegistry()
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"code", "method"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "request_seconds"}, []string{"code", "method"})
	reg.MustRegister(count, took)
	serve(b, promhttp.InstrumentHandlerCounter(count, promhttp.InstrumentHandlerDuration(took, trivial)))
}

// BenchmarkOtelhttp makes a span and the metrics of each request. The exporter
// throws everything away.
func BenchmarkOtelhttp(b *testing.B) {
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	b.Cleanup(func() {
		_, _ = traces.Shutdown(b.Context()), metrics.Shutdown(b.Context()) // what is left is of no interest
	})
	serve(b, otelhttp.NewHandler(trivial, "bench", otelhttp.WithTracerProvider(traces), otelhttp.WithMeterProvider(metrics)))
}

func record(b *testing.B, url string) {
	c, err := lakepulse.New(lakepulse.Config{URL: url, App: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(b.Context()) }) // what is left is of no interest
	serve(b, c.Middleware(trivial))
	s := c.Stats().Performance
	b.ReportMetric(100*float64(s.Dropped)/float64(max(s.Created, 1)), "%dropped")
}

// BenchmarkLakepulse records every request and posts the batches to a server
// that takes them.
func BenchmarkLakepulse(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	b.Cleanup(srv.Close)
	record(b, srv.URL)
}

// BenchmarkLakepulseOutage has nobody to post to.
func BenchmarkLakepulseOutage(b *testing.B) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	record(b, srv.URL)
}
