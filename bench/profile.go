package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// profile leaves CPU profiles of standalone at work beside the results, for
// `go tool pprof`: where the time goes when a bar is missed.
func (b *bench) profile(ctx context.Context) (err error) {
	c, err := b.standalone(ctx, "profile")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	for _, load := range []struct {
		file                 string
		batch, conns, events int
	}{{"profile-batch-100.pprof", 100, pipelineConns, 400_000}, {"profile-batch-1.pprof", 1, pipelineConns, 20_000}} {
		const seconds = 5
		if _, err := b.send(ctx, c, load.batch, load.events/10, load.conns); err != nil {
			return err
		}
		var taken []byte
		var g errgroup.Group
		g.Go(func() (err error) {
			taken, err = ask(ctx, "GET", "http://"+c.ops+"/debug/pprof/profile?seconds=5", "", "")
			return err
		})
		for until := time.Now().Add(seconds * time.Second); time.Now().Before(until); {
			o, err := b.send(ctx, c, load.batch, load.events, load.conns)
			if err != nil {
				return err
			}
			b.report.Add(load.file+": CPU", "s/100k", o.cpu)
			b.report.Add(load.file+": durable", "events/s", o.durable)
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if err := os.WriteFile(load.file, taken, 0o644); err != nil { //nolint:gosec // for everybody
			return err
		}
	}
	return nil
}
