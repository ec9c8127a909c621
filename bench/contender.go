package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/rig"
)

// contender is one way of getting events into a table.
type contender struct {
	name      string
	processes []*rig.Process
	target    load.Target
	ops       string // where ours shows its profiles
	pool      *pgxpool.Pool
	count     string // SQL: how many of the events are there
	truncate  string // SQL: none is
	whole     string // SQL: how many different ones are there with all their columns
	// post replaces sending everything to target.
	post func(context.Context, load.Plan) (load.Result, error)
	// write replaces the HTTP load, for the ceilings.
	write func(ctx context.Context, events int) error
}

// usage sums what the contender's processes have used.
func (c *contender) usage() (rig.Usage, error) {
	var sum rig.Usage
	for _, p := range c.processes {
		u, err := rig.Tree(p.PID())
		if err != nil {
			return sum, err
		}
		sum = sum.Plus(u)
	}
	return sum, nil
}

// stop ends the contender's processes, the last started first.
func (c *contender) stop() error {
	for i := len(c.processes) - 1; i >= 0; i-- {
		if err := c.processes[i].Stop(); err != nil {
			return err
		}
	}
	if c.pool != nil {
		c.pool.Close()
	}
	return nil
}

// failed adds to an error what the contender's processes said last.
func (c *contender) failed(err error) error {
	for _, p := range c.processes {
		err = fmt.Errorf("%w; %s said: %s", err, p.Name, p.Tail())
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

// What a whole row has: every column the sender fills. An empty one would mean
// that a contender did less work than it is credited with.
const wholeRow = `app = 'bench' AND endpoint LIKE '/api/v1/workspaces/%' AND method IN ('GET', 'POST') AND status_code BETWEEN 200 AND 404
	AND response_time_ms > 0 AND seq >= 0 AND instance LIKE 'bench-%' AND user_id LIKE 'user%' AND app_version = '1.4'`

// outcome is what one run of a contender gave.
type outcome struct {
	durable  float64 // events a second, from the first request to the last row
	accepted float64 // events a second, answered
	p50, p99 float64 // of the answers, ms
	cpu      float64 // seconds per 100,000 events, all processes but Postgres and the sender
	database float64 // the same of Postgres
	peak     float64 // MB
}

// send has a contender take events and waits until all are in the table.
func (b *bench) send(ctx context.Context, c *contender, batch, events, conns int) (outcome, error) {
	if err := b.clear(ctx, c); err != nil {
		return outcome{}, err
	}
	for _, p := range c.processes {
		if err := rig.ResetPeak(p.PID()); err != nil {
			return outcome{}, err
		}
	}
	before, err := b.bill(c)
	if err != nil {
		return outcome{}, err
	}
	started := time.Now()
	var sent load.Result
	plan := load.Plan{Target: c.target, Batch: batch, Conns: conns, Requests: events / batch}
	switch {
	case c.write != nil:
		err = c.write(ctx, events)
	case c.post != nil:
		sent, err = c.post(ctx, plan)
	default:
		sent, err = load.Run(ctx, plan)
	}
	if err != nil {
		return outcome{}, c.failed(err)
	}
	took, err := b.arrived(ctx, c, events, started)
	if err != nil {
		return outcome{}, c.failed(err)
	}
	after, err := b.bill(c)
	if err != nil {
		return outcome{}, err
	}
	if err := c.complete(ctx, events); err != nil {
		return outcome{}, err
	}
	per := 100_000 / float64(events)
	o := outcome{
		durable: float64(events) / took.Seconds(), cpu: (after.own.CPU - before.own.CPU) * per,
		database: (after.database.CPU - before.database.CPU) * per, peak: float64(after.own.PeakRSS) / 1e6,
	}
	if c.write == nil {
		o.accepted, o.p50, o.p99 = sent.PerSecond(), sent.Quantile(0.5), sent.Quantile(0.99)
	}
	return o, nil
}

type bill struct{ own, database rig.Usage }

func (b *bench) bill(c *contender) (bill, error) {
	own, err := c.usage()
	if err != nil {
		return bill{}, err
	}
	database, err := b.pg.Usage()
	return bill{own, database}, err
}

// clear empties the contender's table and starts each run behind a checkpoint,
// and behind whatever the file system still has to do for the table that is gone:
// giving back its blocks can hold up the next fsync for long.
func (b *bench) clear(ctx context.Context, c *contender) error {
	if _, err := c.pool.Exec(ctx, c.truncate); err != nil {
		return err
	}
	if _, err := c.pool.Exec(ctx, `CHECKPOINT`); err != nil {
		return err
	}
	unix.Sync()
	return nil
}

// complete makes sure that what was counted are the events that were sent: each
// once, with nothing left out.
func (c *contender) complete(ctx context.Context, events int) error {
	var n int
	if err := c.pool.QueryRow(ctx, c.whole).Scan(&n); err != nil {
		return err
	}
	if n != events {
		return fmt.Errorf("%s stored %d different and whole events of %d", c.name, n, events)
	}
	return nil
}

const arrivalPatience = 2 * time.Minute

// arrived waits until all events are in the table. It looks seldom: counting
// costs the database time that the contender then lacks.
func (b *bench) arrived(ctx context.Context, c *contender, events int, started time.Time) (time.Duration, error) {
	first := time.Now()
	for {
		var n int
		if err := c.pool.QueryRow(ctx, c.count).Scan(&n); err != nil {
			return 0, err
		}
		took := time.Since(started)
		switch {
		case n == events:
			return took, nil
		case n > events:
			return 0, fmt.Errorf("%d events are there, %d were sent", n, events)
		case time.Since(first) > arrivalPatience:
			return 0, fmt.Errorf("only %d of %d events came in %s", n, events, took.Round(time.Second))
		}
		left := time.Duration(float64(events-n) / max(float64(n), 1) * float64(took) / 2)
		select {
		case <-time.After(min(max(left, 10*time.Millisecond), time.Second)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
