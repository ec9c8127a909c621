package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/report"
)

const latencyConns = 32

// latency: how long a sender waits for its 202 at shares of what standalone can
// keep up with, every part of it at work. Requests are due at fixed times, so a
// stall counts for all that it holds up.
func (b *bench) latency(ctx context.Context) (err error) {
	c, err := b.standalone(ctx, "latency")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	const batch = 100
	events := b.pick(60_000, 150_000)
	shares := []int{10, 50, 90}
	for round := range b.rounds + 1 {
		full, err := b.send(ctx, c, batch, events, pipelineConns)
		if err != nil {
			return err
		}
		if round == 0 {
			continue
		}
		b.report.Add("capacity, durable", "events/s", full.durable)
		for _, share := range shares {
			if err := b.clear(ctx, c); err != nil {
				return err
			}
			if err := b.diskAlone(); err != nil {
				return err
			}
			rate := b.report.Median("capacity, durable") / batch * float64(share) / 100
			seconds := float64(b.pick(3, 5))
			sent, err := load.Run(ctx, load.Plan{Target: c.target, Batch: batch, Conns: latencyConns, Requests: int(rate * seconds), Rate: rate})
			if err != nil {
				return c.failed(err)
			}
			if _, err := b.arrived(ctx, c, sent.Events, time.Now()); err != nil {
				return c.failed(err)
			}
			for _, q := range []struct {
				name string
				q    float64
			}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}} {
				b.report.Add(fmt.Sprintf("at %d%%, %s", share, q.name), "ms", sent.Quantile(q.q))
			}
		}
	}
	b.report.Bound("202 at half load, p99", "at 50%, p99", report.AtMost(10))
	b.report.Ratio("202 at half load, p99 / the disk alone, p99", "at 50%, p99", "disk alone: append of 20 kB and fsync, p99", report.NoLimit())
	return nil
}

// diskAlone is what no 202 can be faster than: appends the size of a message,
// each with an fsync, with nothing else at work.
func (b *bench) diskAlone() error {
	f, err := os.CreateTemp(b.dir, "append-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // its folder goes with the run
	const appends = 500
	message := make([]byte, 20_000)
	took := make([]float64, appends)
	for i := range took {
		started := time.Now()
		if _, err := f.Write(message); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Close())
		}
		took[i] = time.Since(started).Seconds() * 1000
	}
	slices.Sort(took)
	for _, q := range []struct {
		name string
		at   int
	}{{"p50", appends / 2}, {"p99", appends * 99 / 100}, {"max", appends - 1}} {
		b.report.Add("disk alone: append of 20 kB and fsync, "+q.name, "ms", took[q.at])
	}
	return f.Close()
}
