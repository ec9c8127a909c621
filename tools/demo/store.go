package demo

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

// store puts the demo's rows where the writer would.
type store struct{ pool *pgxpool.Pool }

// open makes sure that there is no history a demo could damage, and takes the
// purge line back to before the past that is to come. It does so behind the
// gate, as whoever moves the line.
func (s *store) open(ctx context.Context, first time.Time) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := metricsdb.CloseGate(ctx, tx, 0); err != nil {
			return err
		}
		var demo, history bool
		line, err := metricsdb.ReadPurgeLine(ctx, tx)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, findHistory, appNames(), first, line.PurgedBefore).Scan(&demo, &history); err != nil {
			return err
		}
		switch {
		case demo:
			return fault.New(fault.Conflict, "There is a demo in this installation already")
		case history:
			return fault.New(fault.Conflict, "This installation has history; a demo needs one without")
		}
		return metricsdb.LowerPurgeLine(ctx, tx, first)
	})
}

// put stores a day: rows, then the marks of their hours, as a writer does.
func (s *store) put(ctx context.Context, day time.Time, b batch) error {
	if err := metricsdb.EnsurePartitions(ctx, s.pool, day, day); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := metricsdb.EnterGate(ctx, tx); err != nil {
			return err
		}
		if err := rawstore.CopyInto(ctx, tx.Conn().PgConn(), rawstore.Rows{Performance: b.requests, Usage: b.events}); err != nil {
			return err
		}
		return metricsdb.MarkRange(ctx, tx, day, day.Add(24*time.Hour))
	})
}

const (
	// What the product has measured of itself since it was started is no history:
	// it lies above the past, or is one of the demo's days without harm.
	findHistory = `
SELECT EXISTS (SELECT FROM aggregate_totals WHERE app = ANY($1))
       OR EXISTS (SELECT FROM performance_metrics WHERE app = ANY($1)) OR EXISTS (SELECT FROM usage_events WHERE app = ANY($1)),
       EXISTS (SELECT FROM aggregate_totals WHERE starts_at < $3)
       OR EXISTS (SELECT FROM performance_metrics WHERE "timestamp" < $3)
       OR EXISTS (SELECT FROM usage_events WHERE "timestamp" < $3)
       OR EXISTS (SELECT FROM aggregate_totals WHERE starts_at < $2)`
)
