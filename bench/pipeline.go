package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lakepulse/lakepulse/bench/report"
)

const pipelineConns = 8

// pipeline: HTTP batches until they are rows, beside the peers and the ceilings.
func (b *bench) pipeline(ctx context.Context) (err error) {
	contenders, err := b.contenders(ctx)
	defer func() {
		for _, c := range contenders {
			err = errors.Join(err, c.stop())
		}
	}()
	if err != nil {
		return err
	}
	for _, size := range []struct{ batch, events int }{
		{100, b.pick(50_000, 150_000)}, {1000, b.pick(50_000, 100_000)}, {1, b.pick(4_000, 10_000)},
	} {
		for round := range b.rounds + 1 {
			if b.quick && size.batch != 100 && round > 1 {
				break
			}
			for _, c := range contenders {
				if size.batch != 100 && (c.write != nil || c.name == telegrafAsItComes.name) {
					continue // the ceilings know no requests, and one Telegraf is enough
				}
				o, err := b.send(ctx, c, size.batch, size.events, pipelineConns)
				if err != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "bench: pipeline batch %d round %d %s: %.0f durable/s %.0f accepted/s cpu %.2f db %.2f\n",
					size.batch, round, c.name, o.durable, o.accepted, o.cpu, o.database)
				if round > 0 { // the first warms up
					b.pipelineRound(fmt.Sprintf("batch %d %s", size.batch, c.name), o, c.write != nil)
				}
			}
		}
	}
	b.pipelineBars()
	return nil
}

func (b *bench) contenders(ctx context.Context) ([]*contender, error) {
	var all []*contender
	add := func(c *contender, err error) error {
		if c != nil {
			all = append(all, c)
		}
		return err
	}
	if err := add(b.standalone(ctx, "pipeline_ours")); err != nil {
		return all, err
	}
	if err := add(b.bentoPeer(ctx, "pipeline_bento", true)); err != nil {
		return all, err
	}
	for _, agent := range []telegrafAgent{telegrafTuned, telegrafAsItComes} {
		if err := add(b.telegrafPeer(ctx, "pipeline_"+strings.ReplaceAll(agent.name, " ", "_"), agent)); err != nil {
			return all, err
		}
	}
	if err := add(b.ceiling(ctx, "idempotent insert", idempotentInsert)); err != nil {
		return all, err
	}
	if err := add(b.ceiling(ctx, "plain copy", plainCopy)); err != nil {
		return all, err
	}
	for _, name := range []string{"bento", "telegraf"} {
		if !contains(all, name) {
			b.report.Note("%s was not built and is left out", name)
		}
	}
	if contains(all, "telegraf") {
		b.report.Note("the bar is about Telegraf with batches of %d and a flush every %s, which is faster than as it comes (%d, %s); both have a buffer that holds everything, as it comes they would drop what is over 10,000",
			telegrafTuned.batchSize, telegrafTuned.flush, telegrafAsItComes.batchSize, telegrafAsItComes.flush)
	}
	return all, nil
}

func contains(all []*contender, name string) bool {
	for _, c := range all {
		if c.name == name {
			return true
		}
	}
	return false
}

func (b *bench) pipelineRound(name string, o outcome, ceiling bool) {
	r := b.report
	r.Add(name+": durable", "events/s", o.durable)
	if !ceiling {
		r.Add(name+": accepted", "events/s", o.accepted)
		r.Add(name+": answer p50", "ms", o.p50)
		r.Add(name+": answer p99", "ms", o.p99)
		r.Add(name+": CPU", "s/100k", o.cpu) // all its processes, NATS among them
		r.Add(name+": peak memory", "MB", o.peak)
	}
	r.Add(name+": Postgres CPU", "s/100k", o.database)
}

func (b *bench) pipelineBars() {
	r := b.report
	const us = "batch 100 lakepulse: "
	r.Ratio("durable, batch 100: ours / Bento", us+"durable", "batch 100 bento: durable", report.AtLeast(3))
	r.Ratio("durable, batch 100: ours / Telegraf", us+"durable", "batch 100 telegraf: durable", report.AtLeast(2.5))
	r.Ratio("durable, batch 100: ours / idempotent ceiling", us+"durable", "batch 100 idempotent insert: durable", report.AtLeast(0.6))
	r.Ratio("durable, batch 100: ours / plain COPY", us+"durable", "batch 100 plain copy: durable", report.NoLimit())
	r.Ratio("durable, batch 100: ours / Telegraf as it comes", us+"durable", "batch 100 telegraf as it comes: durable", report.NoLimit())
	r.Ratio("accepted while it is stored, batch 100: ours with fsync / Bento without", us+"accepted", "batch 100 bento: accepted", report.AtLeast(1))
	r.Ratio("CPU per event, batch 100: ours / Bento", us+"CPU", "batch 100 bento: CPU", report.AtMost(1.0/3))
	r.Ratio("CPU per event, batch 100: ours / Telegraf", us+"CPU", "batch 100 telegraf: CPU", report.NoLimit())
	for _, batch := range []string{"1000", "1"} {
		us := "batch " + batch + " lakepulse: durable"
		r.Ratio("durable, batch "+batch+": ours / Bento", us, "batch "+batch+" bento: durable", report.NoLimit())
		r.Ratio("durable, batch "+batch+": ours / Telegraf", us, "batch "+batch+" telegraf: durable", report.NoLimit())
	}
}
