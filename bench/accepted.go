package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
)

// accepted: what ingest takes in when nothing but the log is behind it, with an
// fsync before every answer and without, and what Bento takes in without.
func (b *bench) accepted(ctx context.Context) (err error) {
	var contenders []*contender
	defer func() {
		for _, c := range contenders {
			err = errors.Join(err, c.stop())
		}
	}()
	for _, relaxed := range []bool{false, true} {
		c, err := b.ingestOnly(ctx, relaxed)
		if c != nil {
			contenders = append(contenders, c)
		}
		if err != nil {
			return err
		}
	}
	bento, err := b.bentoPeer(ctx, "accepted_bento", false)
	if bento != nil {
		bento.name = "bento, no fsync"
		contenders = append(contenders, bento)
	}
	if err != nil {
		return err
	}
	for _, load := range []struct{ batch, conns, events int }{
		{100, 8, b.pick(60_000, 300_000)}, {1, 64, b.pick(6_000, 20_000)},
	} {
		for round := range b.rounds + 1 {
			for _, c := range contenders {
				if err := b.acceptedRound(ctx, c, load.batch, load.conns, load.events, round > 0); err != nil {
					return err
				}
			}
		}
	}
	r := b.report
	r.Ratio("ingest alone, batch 100 from 8: ours with fsync / Bento without", acceptedName(100, 8, "ingest, fsync"), acceptedName(100, 8, "bento, no fsync"), report.AtLeast(1))
	r.Ratio("batch 100 from 8: ours with fsync / without", acceptedName(100, 8, "ingest, fsync"), acceptedName(100, 8, "ingest, no fsync"), report.NoLimit())
	r.Ratio("single events from 64: ours with fsync / without", acceptedName(1, 64, "ingest, fsync"), acceptedName(1, 64, "ingest, no fsync"), report.AtLeast(0.9))
	return nil
}

func acceptedName(batch, conns int, name string) string {
	return fmt.Sprintf("batch %d from %d, %s", batch, conns, name)
}

func (b *bench) acceptedRound(ctx context.Context, c *contender, batch, conns, events int, counts bool) error {
	before, err := c.usage()
	if err != nil {
		return err
	}
	sent, err := load.Run(ctx, load.Plan{Target: c.target, Batch: batch, Conns: conns, Requests: events / batch})
	if err != nil {
		return c.failed(err)
	}
	after, err := c.usage()
	if err != nil {
		return err
	}
	if counts {
		name := acceptedName(batch, conns, c.name)
		b.report.Add(name, "events/s", sent.PerSecond())
		b.report.Add(name+": p50", "ms", sent.Quantile(0.5))
		b.report.Add(name+": p99", "ms", sent.Quantile(0.99))
		b.report.Add(name+": CPU with NATS", "s/100k", (after.CPU-before.CPU)*100_000/float64(sent.Events))
	}
	return nil
}

// ingestOnly starts ingest on a NATS of its own, and nobody who reads the log.
func (b *bench) ingestOnly(ctx context.Context, relaxed bool) (*contender, error) {
	name := "ingest, fsync"
	folder := "accepted_sync"
	if relaxed {
		name, folder = "ingest, no fsync", "accepted_relaxed"
	}
	nats, err := rig.StartNATS(ctx, b.dir, folder+"-nats", relaxed)
	if err != nil {
		return nil, err
	}
	c := &contender{name: name, processes: []*rig.Process{nats.Process}}
	p, addr, err := b.role(ctx, folder, "ingest", "--nats", nats.URL)
	if p != nil {
		c.processes = append(c.processes, p)
	}
	c.target = load.Target{Addr: addr, Path: performanceAPI, Shape: load.Envelope}
	return c, err
}
