package main

import (
	"context"
	"time"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/rig"
)

const (
	startPatience  = 60 * time.Second
	countOurs      = `SELECT count(*) FROM performance_metrics WHERE app = 'bench'`
	wholeOurs      = `SELECT count(DISTINCT id) FROM performance_metrics WHERE ` + wholeRow
	truncateOurs   = `TRUNCATE performance_metrics, usage_events, hour_marks`
	performanceAPI = "/api/v1/metrics/performance-events"
)

// role starts one process of ours, and returns it with the address it serves.
func (b *bench) role(ctx context.Context, name string, args ...string) (*rig.Process, string, error) {
	ops, err := rig.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	return b.roleOps(ctx, ops, name, args...)
}

// roleOps is role with a place for the operators' listener.
func (b *bench) roleOps(ctx context.Context, ops, name string, args ...string) (*rig.Process, string, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	args = append(args, "--listen", addr, "--ops-listen", ops, "--auth", "dev")
	p, err := rig.Start(rig.Command{Name: name, Path: b.binary, Args: append([]string{"--log-level", "warn"}, args...), Dir: b.dir})
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	return p, addr, p.Ready(ctx, "http://"+addr+"/ready")
}

// standalone starts all of ours in one process on a database of its own, the
// log inside with an fsync before every acknowledgement.
func (b *bench) standalone(ctx context.Context, name string) (*contender, error) {
	dsn, pool, err := b.pg.Migrated(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := b.folder(name)
	if err != nil {
		return nil, err
	}
	ops, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, addr, err := b.roleOps(ctx, ops, name, "standalone", "--database", dsn, "--data-dir", data)
	if err != nil {
		return nil, err
	}
	return &contender{
		name: "lakepulse", ops: ops, processes: []*rig.Process{p}, pool: pool, count: countOurs, truncate: truncateOurs, whole: wholeOurs,
		target: load.Target{Addr: addr, Path: performanceAPI, Shape: load.Envelope},
	}, nil
}
