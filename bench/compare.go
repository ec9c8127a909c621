package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lakepulse/lakepulse/bench/report"
)

// compare measures the pipeline of two builds in turns: what a change gave.
func (b *bench) compare(ctx context.Context) (err error) {
	if b.against == "" {
		return errors.New("-against names the other build")
	}
	var builds []*contender
	defer func() {
		for _, c := range builds {
			err = errors.Join(err, c.stop())
		}
	}()
	after := b.binary
	for _, build := range []struct{ name, binary string }{{"before", b.against}, {"after", after}} {
		b.binary = build.binary
		c, err := b.standalone(ctx, "compare_"+build.name)
		b.binary = after
		if err != nil {
			return err
		}
		c.name = build.name
		builds = append(builds, c)
	}
	for _, load := range []struct{ batch, events int }{{100, b.pick(100_000, 200_000)}, {1, b.pick(5_000, 20_000)}} {
		for round := range b.rounds + 1 {
			for _, c := range builds {
				o, err := b.send(ctx, c, load.batch, load.events, pipelineConns)
				if err != nil {
					return err
				}
				if round > 0 {
					b.pipelineRound(fmt.Sprintf("batch %d %s", load.batch, c.name), o, false)
				}
			}
		}
		name := fmt.Sprintf("batch %d ", load.batch)
		for _, what := range []string{"durable", "accepted", "CPU", "Postgres CPU", "peak memory", "answer p99"} {
			b.report.Ratio(name+what+": after / before", name+"after: "+what, name+"before: "+what, report.NoLimit())
		}
	}
	return nil
}
