package rebuild

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
	"github.com/lakepulse/lakepulse/tools/replay"
)

// Plan counts the messages and rows that a rebuild would touch.
type Plan struct {
	Reach    time.Time // publication time of the log's first message; now for an empty log
	Messages uint64    // in the log
	Rows     int64     // in the raw tables
	Lost     int64     // rows older than the log, which a truncation deletes for good
}

// ReadPlan counts the log's messages and the raw rows. It changes nothing.
func ReadPlan(ctx context.Context, js jetstream.JetStream, pool *pgxpool.Pool) (Plan, error) {
	reach, err := stream.ReadReach(ctx, js)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Reach: reach.FirstTime, Messages: reach.Messages}
	if reach.Messages == 0 {
		p.Reach = time.Now().UTC() // nothing can be rebuilt
	}
	err = pool.QueryRow(ctx, `
SELECT count(*), count(*) FILTER (WHERE received_at < $1)
  FROM (SELECT received_at FROM performance_metrics UNION ALL SELECT received_at FROM usage_events) AS r`, p.Reach).
		Scan(&p.Rows, &p.Lost)
	if err != nil {
		return p, fmt.Errorf("count rows: %w", err)
	}
	return p, nil
}

// Truncate empties the raw tables. Its lock on the purge gate waits for the writers'
// open transactions and blocks new ones until it commits. Aggregates and the purge
// line stay.
func Truncate(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := metricsdb.CloseGate(ctx, tx, 0); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `TRUNCATE performance_metrics, usage_events`); err != nil {
			return fmt.Errorf("empty the raw tables: %w", err)
		}
		return nil
	})
}

// Run stores every event of the log. Rows that exist already stay unchanged.
func Run(ctx context.Context, js jetstream.JetStream, pool *pgxpool.Pool, clock func() time.Time, progress func(console.Progress)) (replay.Report, error) {
	return replay.Run(ctx, replay.Options{Log: js, ToDatabase: pool, Clock: clock, Progress: progress})
}
