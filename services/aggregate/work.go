package aggregate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// work is one run under way.
type work struct {
	*Runner
	progress func(Run)
	// What lives how long in this run: as recorded, else as configured.
	rawRetention, aggregateRetention time.Duration

	// turns is held for reading by a lane that aggregates, and for writing by
	// one that wants to be the only one.
	turns sync.RWMutex

	mu    sync.Mutex // guards what follows: lanes work side by side
	run   *Run
	saved time.Time
}

// saveEvery is how often a run under way writes down where it stands.
const saveEvery = time.Second

// do does the run's steps. What fails for one hour is noted in the run; the
// error is what ends a run before its end.
func (w *work) do(ctx context.Context) error {
	if err := w.readRetention(ctx); err != nil {
		return unreachable(err)
	}
	if err := metricsdb.FailAbandonedRuns(ctx, w.store.pool, w.now().UTC(), w.run.ID); err != nil {
		return unreachable(err)
	}
	if w.run.Kind == Retention {
		if err := metricsdb.SaveRun(ctx, w.store.pool, w.run); err != nil {
			return unreachable(err)
		}
	}
	steps := []func(context.Context) error{w.rollUp, w.sumDays}
	if w.run.Kind == Retention {
		steps = append(steps, w.purge, w.sumDays, w.expire)
	}
	for _, step := range append(steps, w.govern) {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return unreachable(err)
		}
	}
	return nil
}

func (w *work) readRetention(ctx context.Context) error {
	recorded, err := metricsdb.ReadSettings(ctx, w.store.pool)
	if err != nil {
		return err
	}
	w.rawRetention = cmp.Or(recorded.RawRetention, w.cfg.RawRetention)
	w.aggregateRetention = cmp.Or(recorded.AggregateRetention, w.cfg.AggregateRetention)
	return nil
}

// rollUp aggregates every closed hour that needs it.
func (w *work) rollUp(ctx context.Context) error {
	todo, forced, err := w.plan(ctx)
	if err != nil {
		return err
	}
	w.note(ctx, func(r *Run) { r.HoursTotal = int64(len(todo)) })
	return w.aggregateAll(ctx, newQueues(todo, forced, w.run.ID))
}

// plan lists the hours to aggregate, oldest first, and which of them although
// nothing marks them.
func (w *work) plan(ctx context.Context) ([]hour, map[hour]bool, error) {
	now := w.now().UTC()
	closed := now.Add(-w.cfg.Grace).Truncate(time.Hour)
	forced := map[hour]bool{}
	if w.run.Kind == Retention {
		if err := w.verify(ctx, closed, forced); err != nil {
			return nil, nil, err
		}
	}
	todo, unknown, err := metricsdb.ListOpenHours(ctx, w.store.pool, now.Add(-w.rawRetention).Truncate(time.Hour), closed)
	if err != nil {
		return nil, nil, err
	}
	filled, err := w.store.writeEmpty(ctx, unknown, w.run.ID)
	if err != nil {
		return nil, nil, err
	}
	todo = append(todo, filled...)
	for h := range forced {
		if !slices.Contains(todo, h) {
			todo = append(todo, h)
		}
	}
	slices.SortFunc(todo, func(a, b hour) int { return a.Start.Compare(b.Start) })
	return todo, forced, nil
}

// verify compares yesterday's receipts with its rows and looks for rows that
// came without a mark; what it finds is forced.
func (w *work) verify(ctx context.Context, closed time.Time, forced map[hour]bool) error {
	today := w.now().UTC().Truncate(24 * time.Hour)
	verified, differing, err := w.store.differingHours(ctx, today.Add(-24*time.Hour), today)
	if err != nil {
		return err
	}
	stray, err := w.store.strayHours(ctx, closed)
	if err != nil {
		return err
	}
	for _, h := range differing {
		w.log.Warn("aggregate: an hour's rows are not those it was made from, deriving it again", "hour", h.String(),
			"correlation_id", w.run.CorrelationID)
	}
	for _, h := range append(differing, stray...) {
		forced[h] = true
	}
	w.note(ctx, func(r *Run) { r.HoursVerified += verified; r.HoursDiffering += int64(len(differing)) })
	return nil
}

// sumDays sums up the closed days whose hours are complete.
func (w *work) sumDays(ctx context.Context) error {
	days, err := metricsdb.ListOpenDays(ctx, w.store.pool, w.now().UTC().Add(-w.cfg.Grace))
	if err != nil {
		return err
	}
	for _, d := range days {
		err := w.retry(ctx, w.clashes, anyTime, func(tx pgx.Tx, _ int) error {
			_, err := w.store.sumDay(ctx, tx, d, w.run.ID)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case unreachableDatabase(err):
			return err
		case err != nil:
			// The hours answer in the day's place: slower, not wrong.
			w.log.Error("aggregate: day not summed up", "kind", d.Kind, "day", d.Start.Format(time.DateOnly), "error", err,
				"correlation_id", w.run.CorrelationID)
			w.note(ctx, func(r *Run) {
				r.Fail(Failure{Kind: d.Kind, Message: fmt.Sprintf("day %s not summed up: %s", d.Start.Format(time.DateOnly), postgres.Describe(err))})
			})
		}
	}
	return nil
}

// failed notes that an hour could not be aggregated.
func (w *work) failed(ctx context.Context, h hour, err error) {
	w.log.Error("aggregate: hour failed, the others go on", "hour", h.String(), "error", err, "correlation_id", w.run.CorrelationID)
	w.metrics.hours.WithLabelValues("failed").Inc()
	w.note(ctx, func(r *Run) { r.Fail(Failure{TimeBucket: &h.Start, Kind: h.Kind, Message: postgres.Describe(err)}) })
}

// note changes the run, tells whoever watches, and now and then the database.
func (w *work) note(ctx context.Context, change func(*Run)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w.run)
	if w.progress != nil {
		w.progress(*w.run)
	}
	if w.run.Kind != Retention || time.Since(w.saved) < saveEvery {
		return
	}
	w.saved = time.Now()
	if err := metricsdb.SaveRun(ctx, w.store.pool, w.run); err != nil {
		w.log.Debug("aggregate: progress not written", "run", w.run.ID, "error", err)
	}
}

// finish settles the run and writes its receipt. A rollup that found nothing to
// do, which most do, leaves none.
func (w *work) finish(ctx context.Context, err error) {
	finished := w.now().UTC()
	w.run.FinishedAt = &finished
	if err != nil {
		message := postgres.Describe(err)
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			message = "stopped before its end; the next run goes on where this one stood"
		}
		w.run.Fail(Failure{Message: message})
	}
	w.run.Finish()
	w.metrics.finished(w.run)
	if w.run.Kind == Rollup && !w.run.Worked() {
		return
	}
	if err := metricsdb.SaveRun(ctx, w.store.pool, w.run); err != nil {
		w.log.Warn("aggregate: receipt of the run not written", "run", w.run.ID, "error", err)
	}
	w.log.Info("aggregate: run finished", "run", w.run.ID, "kind", w.run.Kind, "status", w.run.Status, "hours", w.run.HoursDone,
		"failed", w.run.HoursFailed, "rows", w.run.RowsAggregated, "deleted", w.run.RowsDeleted, "held_by", w.run.HeldBy,
		"took", w.run.Duration(), "correlation_id", w.run.CorrelationID)
}
