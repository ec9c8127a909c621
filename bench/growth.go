package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

// growth: what an event costs while the raw tables grow. The rows lie in the raw
// window, a seventh of them on each day, as they would.
func (b *bench) growth(ctx context.Context) (err error) {
	dsn, pool, err := b.pg.Migrated(ctx, "growth")
	if err != nil {
		return err
	}
	data, err := b.folder("growth")
	if err != nil {
		return err
	}
	p, addr, err := b.role(ctx, "growth", "standalone", "--database", dsn, "--data-dir", data, "--warn-rows", "1000000000", "--alert-rows", "1000000001")
	if err != nil {
		return err
	}
	c := &contender{
		name: "lakepulse", processes: []*rig.Process{p}, pool: pool,
		target: load.Target{Addr: addr, Path: performanceAPI, Shape: load.Envelope},
		// What was there before the run stays: the table only grows.
		count:    `SELECT count(*) FROM performance_metrics WHERE app = 'bench' AND "timestamp" >= (SELECT at FROM bench_start)`,
		truncate: `UPDATE bench_start SET at = clock_timestamp()`,
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if _, err := pool.Exec(ctx, `CREATE TABLE bench_start AS SELECT now() AS at`); err != nil {
		return err
	}
	sizes := []int{1_000_000, 10_000_000, 50_000_000}
	if b.quick {
		sizes = []int{100_000, 1_000_000}
	}
	there := 0
	for _, n := range sizes {
		if err := b.growTo(ctx, c, there, n); err != nil {
			return err
		}
		there = n
		label := report.Number(float64(n)) + " rows"
		for round := range b.rounds + 1 {
			o, err := b.send(ctx, c, 100, b.pick(50_000, 200_000), pipelineConns)
			if err != nil {
				return err
			}
			if round > 0 {
				b.report.Add(label+": durable", "events/s", o.durable)
				b.report.Add(label+": CPU, all with Postgres", "s/100k", o.cpu+o.database)
			}
		}
	}
	first, last := report.Number(float64(sizes[0]))+" rows", report.Number(float64(sizes[len(sizes)-1]))+" rows"
	limit := report.AtMost(1.3)
	if b.quick {
		limit = report.NoLimit()
	}
	b.report.Ratio(fmt.Sprintf("cost per event: %s / %s", last, first), last+": CPU, all with Postgres", first+": CPU, all with Postgres", limit)
	return nil
}

func (b *bench) growTo(ctx context.Context, c *contender, from, to int) error {
	now := time.Now().UTC().Add(-2 * time.Hour)
	const week = 7*24*time.Hour - 3*time.Hour
	start := now.Add(-week)
	if err := rawstore.New(c.pool, nil).EnsureDays(ctx, start, now.Add(24*time.Hour)); err != nil {
		return err
	}
	const chunk = 500_000
	for done := from; done < to; done += chunk {
		m := min(chunk, to-done)
		// Each chunk spreads over the whole week.
		if _, err := c.pool.Exec(ctx, insertRequests, start, (week / time.Duration(m)).Microseconds(), m, load.Endpoints, load.Users); err != nil {
			return err
		}
	}
	_, err := c.pool.Exec(ctx, `VACUUM (ANALYZE) performance_metrics`)
	return err
}
