package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/rig"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

// Bento in our own shape: HTTP into JetStream, which syncs every two minutes as
// it does unless told otherwise, and JetStream into the same table, repetitions
// ignored. A request travels as one message, as ours do; the array is cut into
// rows behind the log. It is given the bare array, which is cheaper than our
// envelope.
const bentoIngest = `
http: {enabled: false}
logger: {level: WARN}
input:
  http_server: {address: %q, path: /post, allowed_verbs: [POST], timeout: 30s}
output:
  nats_jetstream: {urls: [%q], subject: bento.performance, max_in_flight: 1024}
`

const bentoWriter = `
http: {enabled: false}
logger: {level: WARN}
input:
  nats_jetstream: {urls: [%q], stream: BENTO, subject: bento.performance, durable: writer, deliver: all, ack_wait: 60s, max_ack_pending: 2000}
pipeline:
  threads: 2
  processors:
    - unarchive: {format: json_array}
output:
  sql_insert:
    driver: postgres
    dsn: %q
    table: metrics.performance_metrics
    columns: [id, '"timestamp"', received_at, app, endpoint, method, status_code, response_time_ms, seq, instance, user_id, app_version]
    args_mapping: root = [this.id, this.timestamp, now(), this.app, this.endpoint, this.method, this.status_code, this.response_time_ms, this.seq, this.instance, this.user_id, this.app_version]
    suffix: ON CONFLICT DO NOTHING
    max_in_flight: 2
    batching: {count: 2000, period: 20ms}
`

// bentoPeer starts Bento's two halves and their NATS. The writer may be left out.
func (b *bench) bentoPeer(ctx context.Context, name string, withWriter bool) (*contender, error) {
	program := filepath.Join(b.peers, "bento")
	if _, err := os.Stat(program); err != nil {
		return nil, nil // the peer was not built
	}
	nats, err := rig.StartNATS(ctx, b.dir, name+"-nats", true)
	if err != nil {
		return nil, err
	}
	c := &contender{name: "bento", processes: []*rig.Process{nats.Process}, count: countOurs, truncate: truncateOurs, whole: wholeOurs}
	if err := makeStream(ctx, nats.URL, "BENTO", "bento.>"); err != nil {
		return nil, err
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := b.configured(name+"-ingest", program, fmt.Sprintf(bentoIngest, addr, nats.URL), "run")
	if err != nil {
		return nil, err
	}
	c.processes = append(c.processes, p)
	c.target = load.Target{Addr: addr, Path: "/post", Shape: load.Array}
	if withWriter {
		dsn, err := b.ours(ctx, c, name)
		if err != nil {
			return nil, err
		}
		w, err := b.configured(name+"-writer", program, fmt.Sprintf(bentoWriter, nats.URL, dsn), "run")
		if err != nil {
			return nil, err
		}
		c.processes = append(c.processes, w)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return c, p.Listening(ctx, addr)
}

// ours gives a contender our own table in a database of its own, ready for today.
func (b *bench) ours(ctx context.Context, c *contender, name string) (string, error) {
	dsn, pool, err := b.pg.Migrated(ctx, name)
	if err != nil {
		return "", err
	}
	c.pool = pool
	today := time.Now()
	return dsn, rawstore.New(pool, nil).EnsureDays(ctx, today.Add(-24*time.Hour), today.Add(24*time.Hour))
}

// configured starts a program on a configuration file.
func (b *bench) configured(name, program, config string, args ...string) (*rig.Process, error) {
	file := filepath.Join(b.dir, name+".conf.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return rig.Start(rig.Command{Name: name, Path: program, Args: append(args, file), Dir: b.dir})
}
