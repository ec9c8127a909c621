package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// purge deletes raw rows that have outlived their time, hour by hour from the
// purge line on, and then the partitions that are left empty.
func (w *work) purge(ctx context.Context) error {
	until, err := metricsdb.SettlesUntil(ctx, w.store.pool)
	if err != nil {
		return err
	}
	if !until.IsZero() {
		w.note(ctx, func(r *Run) {
			r.HeldBy = "the raw retention was changed; ingest may still accept older events until " + until.Format(time.RFC3339)
		})
		return metricsdb.HoldPurgeLine(ctx, w.store.pool, w.run.HeldBy)
	}
	params := purgeParams{
		target:       w.now().UTC().Add(-w.rawRetention - w.cfg.Margin).Truncate(time.Hour),
		rawRetention: w.rawRetention, margin: w.cfg.Margin, lockTimeout: w.cfg.LockTimeout, runID: w.run.ID,
	}
	for finished := false; !finished; {
		var step purgeStep
		err := w.retry(ctx, w.clashes, anyTime, func(tx pgx.Tx, _ int) (err error) {
			step, err = w.store.purge(ctx, tx, params)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case unreachableDatabase(err):
			return err
		case err != nil:
			w.purgeFailed(ctx, step, err)
			finished = true
		default:
			w.purged(ctx, step)
			finished = step.finished
		}
	}
	if err := metricsdb.HoldPurgeLine(ctx, w.store.pool, w.run.HeldBy); err != nil {
		return err
	}
	if err := w.reportBelow(ctx); err != nil {
		return err
	}
	return w.dropPartitions(ctx)
}

func (w *work) purged(ctx context.Context, step purgeStep) {
	w.metrics.deleted.Add(float64(step.deleted))
	if !step.line.IsZero() {
		w.metrics.line.Set(float64(step.line.Unix()))
	}
	w.note(ctx, func(r *Run) {
		r.HeldBy = step.heldBy
		r.RowsDeleted += step.deleted
		r.RowsRead += step.deleted + step.reread
		r.RowsAggregated += step.reread
		r.HoursVerified += step.verified
		r.HoursDiffering += step.differing
	})
	if step.differing > 0 {
		w.log.Warn("aggregate: an hour's rows were not those it was made from; derived again before they were deleted",
			"hour", step.hour, "correlation_id", w.run.CorrelationID)
	}
}

// purgeFailed notes why the line stops here. A gate that could not be closed in
// time is no failure: a writer's transaction was long, and the next run tries.
func (w *work) purgeFailed(ctx context.Context, step purgeStep, err error) {
	if postgres.LockTimedOut(err) {
		w.log.Warn("aggregate: writers did not make way for the purge in time", "correlation_id", w.run.CorrelationID)
		w.note(ctx, func(r *Run) {
			r.HeldBy = "a transaction of a writer that did not end in time; the next run tries again"
		})
		return
	}
	w.log.Error("aggregate: purge stopped", "hour", step.hour, "error", err, "correlation_id", w.run.CorrelationID)
	w.note(ctx, func(r *Run) {
		at := "the purge line"
		if !step.hour.IsZero() {
			at = "the hour " + step.hour.Format(time.RFC3339)
		}
		r.HeldBy = fmt.Sprintf("%s: %s", at, postgres.Describe(err))
		for _, f := range r.Failures { // it failed to aggregate before it failed here: one failure
			if f.TimeBucket != nil && f.TimeBucket.Equal(step.hour) {
				return
			}
		}
		f := Failure{Message: "purge: " + postgres.Describe(err)}
		if !step.hour.IsZero() {
			f.TimeBucket = &step.hour
		}
		r.Fail(f)
	})
}

// reportBelow says so when raw rows lie below the purge line. They are in no
// aggregate, so nothing here deletes them; they keep their partition.
func (w *work) reportBelow(ctx context.Context) error {
	found, err := w.store.belowLine(ctx)
	if err != nil {
		return err
	}
	for table, n := range found {
		w.log.Error("aggregate: raw rows below the purge line, stored past the writer; they are counted nowhere and kept",
			"table", table, "rows", n, "correlation_id", w.run.CorrelationID)
		w.note(ctx, func(r *Run) {
			r.Fail(Failure{Message: fmt.Sprintf("%d rows of %s lie below the purge line: they came past the writer, are counted nowhere and are kept; delete them or give them a later timestamp", n, table)})
		})
	}
	return nil
}

// dropPartitions drops what the purge has emptied. A partition that readers use
// this very moment stays until the next run.
func (w *work) dropPartitions(ctx context.Context) error {
	old, err := metricsdb.ListOldPartitions(ctx, w.store.pool)
	if err != nil {
		return err
	}
	for _, p := range old {
		dropped, err := metricsdb.DropPartition(ctx, w.store.pool, p)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case unreachableDatabase(err):
			return err
		case err != nil:
			w.log.Info("aggregate: partition kept for now", "table", p.Table, "day", p.Day.Format(time.DateOnly), "error", err)
		case dropped:
			w.log.Info("aggregate: partition dropped", "table", p.Table, "day", p.Day.Format(time.DateOnly))
		}
	}
	return nil
}

// expire deletes aggregates that have outlived their time, a day at a time, and
// the records of what was done in it.
func (w *work) expire(ctx context.Context) error {
	before := w.now().UTC().Add(-w.aggregateRetention)
	for found := true; found; {
		var deleted int64
		err := w.retry(ctx, w.clashes, anyTime, func(tx pgx.Tx, _ int) (err error) {
			deleted, found, err = w.store.expire(ctx, tx, before)
			return err
		})
		if err != nil {
			return err
		}
		w.note(ctx, func(r *Run) { r.AggregatesDeleted += deleted })
	}
	return metricsdb.DeleteOldRecords(ctx, w.store.pool, before)
}
