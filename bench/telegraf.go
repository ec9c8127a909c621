package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/rig"
)

// Telegraf holds what it has accepted in memory, and writes a table of its own
// without a key.
//
// Its buffer is far larger than the 10,000 metrics it has unless told otherwise:
// it drops what does not fit, and a contender that drops events is not measured.
const telegrafConfig = `
[agent]
  metric_batch_size = %d
  flush_interval = %q
  metric_buffer_limit = 5000000
  omit_hostname = true
  logtarget = "stderr"
  quiet = true
[[inputs.http_listener_v2]]
  service_address = "tcp://%s"
  paths = ["/post"]
  methods = ["POST"]
  data_format = "json"
  json_time_key = "timestamp"
  json_time_format = "2006-01-02T15:04:05.000000Z07:00"
  json_string_fields = ["id", "app", "instance", "endpoint", "method", "user_id", "app_version"]
  name_override = "performance"
[[outputs.postgresql]]
  connection = %q
`

// telegrafAgent is how Telegraf is told to write.
type telegrafAgent struct {
	name      string
	batchSize int
	flush     string
}

// Telegraf runs twice: with larger batches and a shorter pause between them, which
// is what the bars are about because it is the faster one, and as it comes.
var (
	telegrafTuned     = telegrafAgent{"telegraf", 5000, "200ms"}
	telegrafAsItComes = telegrafAgent{"telegraf as it comes", 1000, "10s"}
)

// telegrafPeer starts Telegraf on a database of its own.
func (b *bench) telegrafPeer(ctx context.Context, name string, agent telegrafAgent) (*contender, error) {
	program := filepath.Join(b.peers, "telegraf")
	if _, err := os.Stat(program); err != nil {
		return nil, nil // the peer was not built
	}
	dsn, err := b.pg.Database(ctx, name)
	if err != nil {
		return nil, err
	}
	pool, err := rig.Pool(ctx, dsn)
	if err != nil {
		return nil, err
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := b.configured(name, program, fmt.Sprintf(telegrafConfig, agent.batchSize, agent.flush, addr, dsn))
	if err != nil {
		return nil, err
	}
	c := &contender{
		name: agent.name, processes: []*rig.Process{p}, pool: pool,
		target: load.Target{Addr: addr, Path: "/post", Shape: load.Array},
		count:  `SELECT count(*) FROM public.performance`, truncate: `TRUNCATE public.performance`,
		whole: `SELECT count(DISTINCT id::uuid) FROM public.performance WHERE "time" > now() - interval '1 day' AND ` + wholeRow,
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := p.Listening(ctx, addr); err != nil {
		return nil, err
	}
	return c, b.firstEvents(ctx, c)
}

// firstEvents makes a contender create its table.
func (b *bench) firstEvents(ctx context.Context, c *contender) error {
	if _, err := load.Run(ctx, load.Plan{Target: c.target, Batch: 10, Conns: 1, Requests: 1}); err != nil {
		return c.failed(err)
	}
	for {
		var n int
		if err := c.pool.QueryRow(ctx, c.count).Scan(&n); err == nil && n == 10 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s stored nothing: %w", c.name, ctx.Err())
		}
	}
}
