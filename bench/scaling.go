package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
)

// fleet is roles in processes of their own, on one NATS and one database.
type fleet struct {
	contender

	targets []load.Target // one for each ingest
}

// scaling: more processes of a role against one database on the same machine.
// All fleets are up all the time and take turns; those who wait cost next to nothing.
func (b *bench) scaling(ctx context.Context) (err error) {
	events := b.pick(50_000, 100_000)
	var fleets []*fleet
	defer func() {
		for _, f := range fleets {
			err = errors.Join(err, f.stop())
		}
	}()
	for _, s := range []struct{ ingest, writers int }{{1, 1}, {1, 2}, {1, 4}, {2, 1}, {2, 2}} {
		f, err := b.fleet(ctx, fmt.Sprintf("scaling_%d_%d", s.ingest, s.writers), s.ingest, s.writers)
		if f != nil {
			f.name = fmt.Sprintf("%d ingest, %d writers", s.ingest, s.writers)
			fleets = append(fleets, f)
		}
		if err != nil {
			return err
		}
	}
	for round := range b.rounds + 1 {
		for _, f := range fleets {
			o, err := b.send(ctx, &f.contender, 100, events, pipelineConns)
			if err != nil {
				return err
			}
			if round > 0 {
				b.report.Add(f.name+": durable", "events/s", o.durable)
				b.report.Add(f.name+": CPU with NATS", "s/100k", o.cpu)
				b.report.Add(f.name+": Postgres CPU", "s/100k", o.database)
			}
		}
	}
	r := b.report
	r.Ratio("2 writers / 1", "1 ingest, 2 writers: durable", "1 ingest, 1 writers: durable", report.NoLimit())
	r.Ratio("4 writers / 1", "1 ingest, 4 writers: durable", "1 ingest, 1 writers: durable", report.NoLimit())
	r.Ratio("2 ingest / 1, with 2 writers", "2 ingest, 2 writers: durable", "1 ingest, 2 writers: durable", report.NoLimit())
	return nil
}

func (b *bench) fleet(ctx context.Context, name string, ingest, writers int) (*fleet, error) {
	dsn, pool, err := b.pg.Migrated(ctx, name)
	if err != nil {
		return nil, err
	}
	nats, err := rig.StartNATS(ctx, b.dir, name+"-nats", false)
	if err != nil {
		return nil, err
	}
	f := &fleet{contender: contender{name: name, processes: []*rig.Process{nats.Process}, pool: pool, count: countOurs, truncate: truncateOurs, whole: wholeOurs}}
	for i := range ingest {
		p, addr, err := b.role(ctx, fmt.Sprintf("%s-ingest-%d", name, i), "ingest", "--nats", nats.URL)
		if p != nil {
			f.processes = append(f.processes, p)
		}
		if err != nil {
			return f, err
		}
		f.targets = append(f.targets, load.Target{Addr: addr, Path: performanceAPI, Shape: load.Envelope})
	}
	for i := range writers {
		p, _, err := b.role(ctx, fmt.Sprintf("%s-writer-%d", name, i), "writer", "--nats", nats.URL, "--database", dsn)
		if p != nil {
			f.processes = append(f.processes, p)
		}
		if err != nil {
			return f, err
		}
	}
	f.post = f.spread
	return f, nil
}

// spread sends an equal share to each ingest.
func (f *fleet) spread(ctx context.Context, p load.Plan) (load.Result, error) {
	results := make([]load.Result, len(f.targets))
	g, ctx := errgroup.WithContext(ctx)
	for i, t := range f.targets {
		part := p
		part.Target, part.Requests, part.Conns = t, p.Requests/len(f.targets), p.Conns/len(f.targets)
		g.Go(func() (err error) {
			results[i], err = load.Run(ctx, part)
			return err
		})
	}
	err := g.Wait()
	return load.Merge(results), err
}
