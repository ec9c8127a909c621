package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/stream"
)

// RebuildPlan is what a rebuild would do.
type RebuildPlan struct {
	Reach    time.Time // the log holds what was published since then
	Messages uint64
	Rows     int64 // in the raw tables
	Lost     int64 // of them, those older than the log: a truncation loses them for good
	Purged   time.Time
}

// PlanRebuild looks at the log and the tables.
func PlanRebuild(ctx context.Context, js jetstream.JetStream, pool *pgxpool.Pool) (RebuildPlan, error) {
	reach, err := stream.ReadReach(ctx, js)
	if err != nil {
		return RebuildPlan{}, err
	}
	p := RebuildPlan{Reach: reach.FirstTime, Messages: reach.Messages}
	if reach.Messages == 0 {
		p.Reach = time.Now().UTC() // nothing can be rebuilt
	}
	err = pool.QueryRow(ctx, `
SELECT count(*), count(*) FILTER (WHERE received_at < $1), (SELECT CASE WHEN isfinite(purged_before) THEN purged_before END FROM purge_line)
  FROM (SELECT received_at FROM performance_metrics UNION ALL SELECT received_at FROM usage_events) AS r`, p.Reach).
		Scan(&p.Rows, &p.Lost, (*nullTime)(&p.Purged))
	if err != nil {
		return p, fmt.Errorf("count rows: %w", err)
	}
	return p, nil
}

// nullTime scans NULL as the zero time.
type nullTime time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *nullTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = nullTime{}
	if v.Valid {
		*t = nullTime(v.Time.UTC())
	}
	return nil
}

// Truncate empties the raw tables. It waits for the writers' transactions and
// keeps them out meanwhile. The aggregates stay, and so does the purge line.
func Truncate(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE purge_gate IN EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("enter the purge gate: %w", err)
		}
		if _, err := tx.Exec(ctx, `TRUNCATE performance_metrics, usage_events`); err != nil {
			return fmt.Errorf("empty the raw tables: %w", err)
		}
		return nil
	})
}

// Rebuild stores everything the log holds, as far back as it reaches. What is
// there already stays as it is.
func Rebuild(ctx context.Context, js jetstream.JetStream, pool *pgxpool.Pool, now func() time.Time, progress func(Progress)) (Report, error) {
	return Run(ctx, Options{Log: js, ToDatabase: pool, Now: now, Progress: progress})
}
