package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Plan says what to send.
type Plan struct {
	Target
	Batch int // events in a request
	Conns int
	// Requests in all. In an open loop they are sent at Rate a second.
	Requests int
	Rate     float64 // requests a second; 0 = as fast as they are answered
}

// Result is what became of a plan.
type Result struct {
	Events    int
	Elapsed   time.Duration
	latencies []time.Duration // sorted
}

// PerSecond returns the events accepted a second.
func (r Result) PerSecond() float64 { return float64(r.Events) / r.Elapsed.Seconds() }

// Quantile returns the latency below which the share q of the requests stayed, in milliseconds.
func (r Result) Quantile(q float64) float64 {
	if len(r.latencies) == 0 {
		return 0
	}
	i := min(int(q*float64(len(r.latencies))), len(r.latencies)-1)
	return r.latencies[i].Seconds() * 1000
}

// Run sends what the plan says and waits for all answers.
func Run(ctx context.Context, p Plan) (Result, error) {
	conns := make([]*conn, p.Conns)
	requests := make([]*Request, p.Conns)
	for i := range conns {
		c, err := dial(p.Addr)
		if err != nil {
			return Result{}, err
		}
		defer func() { _ = c.Close() }() // everything was answered
		conns[i] = c
		requests[i] = NewRequest(p.Target, p.Batch, rand.New(rand.NewPCG(uint64(i), 7))) //nolint:gosec // an index
	}
	var next atomic.Int64
	started := time.Now()
	lists := make([][]time.Duration, p.Conns)
	g, ctx := errgroup.WithContext(ctx)
	for i := range conns {
		g.Go(func() error {
			var err error
			lists[i], err = p.drive(ctx, conns[i], requests[i], &next, started)
			return err
		})
	}
	err := g.Wait()
	r := Result{Events: p.Requests * p.Batch, Elapsed: time.Since(started), latencies: slices.Concat(lists...)}
	slices.Sort(r.latencies)
	if err != nil {
		return r, fmt.Errorf("load: %w", err)
	}
	return r, nil
}

func (p Plan) drive(ctx context.Context, c *conn, q *Request, next *atomic.Int64, started time.Time) ([]time.Duration, error) {
	list := make([]time.Duration, 0, 2*p.Requests/p.Conns+1)
	for ctx.Err() == nil {
		n := next.Add(1) - 1
		if n >= int64(p.Requests) {
			return list, nil
		}
		due := time.Now()
		if p.Rate > 0 {
			due = started.Add(time.Duration(float64(n) / p.Rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		q.stamp(time.Now())
		if err := c.exchange(q.data); err != nil {
			return list, err
		}
		list = append(list, time.Since(due))
	}
	return list, ctx.Err()
}

// Merge joins the results of plans that ran side by side.
func Merge(results []Result) Result {
	var all Result
	for _, r := range results {
		all.Events += r.Events
		all.Elapsed = max(all.Elapsed, r.Elapsed)
		all.latencies = append(all.latencies, r.latencies...)
	}
	slices.Sort(all.latencies)
	return all
}
