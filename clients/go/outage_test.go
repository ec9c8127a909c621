package lakepulse

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnOutageCostsNoMemory serves a million requests while no collector is there:
// what is kept is the ring and one batch, however long that lasts.
func TestAnOutageCostsNoMemory(t *testing.T) {
	f := newFakeIngest(t)
	f.Close()
	lp := start(t, f, func(c *Config) { c.RetryMin = DefaultRetryMin })
	h := lp.Middleware(trivial)
	w := &nowhere{h: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/items/7", nil)
	serve := func(n int) {
		for range n {
			h.ServeHTTP(w, r)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	serve(100_000) // fills everything that is bounded
	before := heap()
	serve(1_000_000)
	after := heap()
	require.Less(t, after, before+1<<20)
	a := lp.Stats().Performance
	require.EqualValues(t, 1_100_000, a.Created)
	require.LessOrEqual(t, a.Buffered, int64(DefaultBufferSize+DefaultBatchSize))
	balanced(t, lp)
	require.Error(t, lp.Close(context.Background()))
	require.EqualValues(t, 1_100_000, lp.Stats().Performance.Dropped)
}

// TestARequestCostsOneAllocation is the part of the benchmark's bars that holds on
// every machine.
func TestARequestCostsOneAllocation(t *testing.T) {
	lp := start(t, nil, func(c *Config) { c.Sink = acceptAll{}; c.BufferSize = 1 << 16 })
	h := lp.Middleware(trivial)
	w := &nowhere{h: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/items/7", nil)
	r.Header.Set("X-Forwarded-Email", "ann@example.com")
	perRequest := testing.AllocsPerRun(20_000, func() { h.ServeHTTP(w, r) })
	require.LessOrEqual(t, perRequest, 2.0, "one of the request's, and less than one of the lane's")
}
