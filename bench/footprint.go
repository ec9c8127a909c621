package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
	"github.com/lakepulse/lakepulse/pkg/retry"
)

// footprint: what standalone costs while nothing happens. It brings its own
// Postgres and NATS here, as a newcomer would start it.
func (b *bench) footprint(ctx context.Context) error {
	r := b.report
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	r.Add("binary", "MB", float64(info.Size())/1e6)
	data, err := b.folder("footprint")
	if err != nil {
		return err
	}
	rounds := b.rounds + 1
	for round := range rounds { // the first makes the data directory
		started := time.Now()
		p, _, err := b.role(ctx, "footprint", "standalone", "--data-dir", filepath.Join(data, "data"))
		if err != nil {
			return err
		}
		ready := time.Since(started)
		if round == 0 {
			r.Add("start to ready, empty data directory", "s", ready.Seconds())
		} else {
			r.Add("start to ready, existing data directory", "s", ready.Seconds())
		}
		if round == rounds-1 {
			err = b.idle(ctx, p)
		}
		if e := p.Stop(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	r.Bound("binary", "binary", report.AtMost(45))
	r.Bound("start to ready, existing data directory", "start to ready, existing data directory", report.AtMost(1.5))
	r.Bound("idle memory without Postgres", "idle memory without Postgres", report.AtMost(80))
	return nil
}

// idle looks at a standalone nobody asks anything of.
func (b *bench) idle(ctx context.Context, p *rig.Process) error {
	settle, watch := time.Duration(b.pick(3, 15))*time.Second, time.Duration(b.pick(5, 30))*time.Second
	if err := retry.Sleep(ctx, settle); err != nil {
		return err
	}
	before, err := rig.One(p.PID())
	if err != nil {
		return err
	}
	if err := retry.Sleep(ctx, watch); err != nil {
		return err
	}
	after, err := rig.One(p.PID())
	if err != nil {
		return err
	}
	b.report.Add("idle memory without Postgres", "MB", float64(after.RSS)/1e6)
	b.report.Add("idle CPU without Postgres", "% of a core", 100*(after.CPU-before.CPU)/watch.Seconds())
	return nil
}
