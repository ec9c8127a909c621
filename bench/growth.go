package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

// growthDisk is what 50 M rows take, log included, and as much again to be safe.
const growthDisk = 30 << 30

// growth: what an event costs while the raw tables grow. The rows lie in the raw
// window, a seventh of them on each day, as they would.
func (b *bench) growth(ctx context.Context) (err error) {
	sizes := []int{1_000_000, 10_000_000, 50_000_000}
	switch {
	case b.rows > 0:
		sizes = []int{b.rows / 10, b.rows}
	case b.quick:
		sizes = []int{100_000, 1_000_000}
	}
	if err := b.roomFor(int64(float64(growthDisk) * float64(sizes[len(sizes)-1]) / 50e6)); err != nil {
		return err
	}
	dsn, pool, err := b.pg.Migrated(ctx, "growth")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.pg.Drop(context.WithoutCancel(ctx), "growth")) }()
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
		target:   load.Target{Addr: addr, Path: performanceAPI, Shape: load.Envelope},
		truncate: `SELECT`, // what was there before the run stays: the table only grows
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	there := 0
	for _, n := range sizes {
		started := time.Now()
		if err := b.growTo(ctx, c, float64(there)/float64(sizes[len(sizes)-1]), float64(n)/float64(sizes[len(sizes)-1]), n-there); err != nil {
			return err
		}
		label := report.Number(float64(n)) + " rows"
		b.report.Add(label+": fill", "rows/s", float64(n-there)/time.Since(started).Seconds())
		there = n
		if err := b.measureGrown(ctx, c, label); err != nil {
			return err
		}
	}
	first, last := report.Number(float64(sizes[0]))+" rows", report.Number(float64(sizes[len(sizes)-1]))+" rows"
	limit := report.NoLimit()
	if there >= 50_000_000 {
		limit = report.AtMost(1.3)
	}
	b.report.Ratio(fmt.Sprintf("cost per event: %s / %s", last, first), last+": CPU, all with Postgres", first+": CPU, all with Postgres", limit)
	return nil
}

// growthRounds of 100,000 events are enough: each makes the table larger, which
// would blur what 1 M rows cost.
const growthRounds = 3

// measureGrown measures the table as large as it is. Each round adds to it.
func (b *bench) measureGrown(ctx context.Context, c *contender, label string) error {
	if err := b.quiet(ctx, c.processes[0].PID()); err != nil {
		return err
	}
	for round := range min(b.rounds, growthRounds) + 1 {
		// A constant, so that counting reads what is new and not the whole day.
		since := ` "timestamp" >= '` + time.Now().UTC().Format(time.RFC3339Nano) + `'`
		c.count, c.whole = `SELECT count(*) FROM performance_metrics WHERE app = 'bench' AND`+since, wholeOurs+` AND`+since
		o, err := b.send(ctx, c, 100, b.pick(50_000, 100_000), pipelineConns)
		if err != nil {
			return err
		}
		if round > 0 {
			b.report.Add(label+": durable", "events/s", o.durable)
			b.report.Add(label+": CPU", "s/100k", o.cpu)
			b.report.Add(label+": Postgres CPU", "s/100k", o.database)
			b.report.Add(label+": CPU, all with Postgres", "s/100k", o.cpu+o.database)
		}
	}
	return nil
}

// growTo puts n rows on today and the six days before, between two shares of
// each day: what comes later is later within its day, too.
func (b *bench) growTo(ctx context.Context, c *contender, from, to float64, n int) error {
	const days = 7
	now := time.Now().UTC()
	today := now.Truncate(24 * time.Hour)
	if err := rawstore.New(c.pool, nil).EnsureDays(ctx, today.Add(-(days-1)*24*time.Hour), now.Add(24*time.Hour)); err != nil {
		return err
	}
	var stretches []stretch
	for i := range days {
		day := today.Add(-time.Duration(i) * 24 * time.Hour)
		// What is measured comes after what is filled in, also today.
		length := float64(min(24*time.Hour, max(time.Second, b.report.Started.Sub(day))))
		share := n / days
		if i == 0 {
			share += n % days
		}
		stretches = append(stretches, over(day.Add(time.Duration(from*length)), day.Add(time.Duration(to*length)), share))
	}
	if err := fillRequests(ctx, c.pool, stretches); err != nil {
		return err
	}
	return vacuumDays(ctx, c.pool)
}

// vacuumDays does what autovacuum would do in the middle of a measurement.
func vacuumDays(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'performance_metrics'::regclass`)
	if err != nil {
		return err
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fillConns)
	for _, day := range days {
		g.Go(func() error {
			_, err := pool.Exec(ctx, `VACUUM (ANALYZE) `+day)
			return err
		})
	}
	return g.Wait()
}
