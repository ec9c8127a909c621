package aggregate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// purgeStep is what one transaction of a purge did.
type purgeStep struct {
	line      time.Time // where the line is now; zero before the first purge
	hour      time.Time // the hour whose rows were deleted; zero when none had to be
	deleted   int64
	verified  int64
	differing int64
	reread    int64  // rows aggregated again
	heldBy    string // what keeps the line from the target; "" when nothing does
	finished  bool   // nothing more can be done now
}

// purge deletes the raw rows of the oldest hour that has any and moves the line
// past it, or moves the line alone where there is nothing to delete. target is
// where the line belongs by the retention.
func (s *store) purge(ctx context.Context, tx pgx.Tx, p purgeParams) (purgeStep, error) {
	var step purgeStep
	if err := s.closeGate(ctx, tx, p.lockTimeout); err != nil {
		return step, err
	}
	state, err := metricsdb.ReadPurgeState(ctx, tx)
	if err != nil {
		return step, err
	}
	allowed := p.allowed(state, &step)
	step.line = state.Line
	if !state.Line.Before(allowed) {
		step.finished = true
		return step, nil
	}
	move := allowed
	if !state.NextHour.IsZero() && state.NextHour.Before(allowed) {
		step.hour, move = state.NextHour, state.NextHour.Add(time.Hour)
		for _, kind := range event.Kinds() {
			if err := s.purgeHour(ctx, tx, hour{Kind: kind, Start: step.hour}, p, &step); err != nil {
				return step, fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	step.line, step.finished = move, !move.Before(allowed)
	if err := metricsdb.MovePurgeLine(ctx, tx, move); err != nil {
		return step, err
	}
	return step, s.at(ctx, "line moved")
}

type purgeParams struct {
	target       time.Time
	rawRetention time.Duration
	margin       time.Duration
	lockTimeout  time.Duration
	runID        uuid.UUID
}

// allowed is how far the line may move, at most to the target: everything that
// was published while an hour was still accepted must be stored before it goes.
func (p purgeParams) allowed(state metricsdb.PurgeState, step *purgeStep) time.Time {
	if !state.HasStored {
		return p.target // no writer has ever stored anything: nothing is in flight
	}
	reach := state.Stored.Add(-p.rawRetention - p.margin).Truncate(time.Hour)
	if !reach.Before(p.target) {
		return p.target
	}
	step.heldBy = fmt.Sprintf("the writer: %s is stored up to %s; raw rows are kept until it is past %s", state.StoredOf,
		state.Stored.Format(time.RFC3339), reach.Add(time.Hour+p.rawRetention+p.margin).Format(time.RFC3339))
	return reach
}

// closeGate keeps the writers out until the end of tx.
func (s *store) closeGate(ctx context.Context, tx pgx.Tx, timeout time.Duration) error {
	if err := metricsdb.CloseGate(ctx, tx, timeout); err != nil {
		return err
	}
	return s.at(ctx, "gate closed")
}

// purgeHour deletes the raw rows of one hour and kind, after it has made sure
// that the aggregates count exactly these.
func (s *store) purgeHour(ctx context.Context, tx pgx.Tx, h hour, p purgeParams, step *purgeStep) error {
	job := hoursJob{kind: h.Kind, starts: []time.Time{h.Start}, runID: p.runID, caches: newCaches()}
	res, err := s.aggregate(ctx, tx, job)
	if err != nil {
		return err
	}
	step.reread += res.rows
	deleted, err := s.deleteVerified(ctx, tx, h)
	if errors.Is(err, errDiffers) {
		step.differing++
		job.forced = true
		if res, err = s.aggregate(ctx, tx, job); err != nil {
			return err
		}
		step.reread += res.rows
		deleted, err = s.deleteVerified(ctx, tx, h)
	}
	step.verified++
	step.deleted += deleted
	return err
}

var errDiffers = errors.New("the raw rows are not those the aggregate was made from")

// deleteVerified deletes an hour's rows and compares them with the receipt
// while they go; when they differ, all stay and the error is errDiffers.
func (s *store) deleteVerified(ctx context.Context, tx pgx.Tx, h hour) (int64, error) {
	inner, err := tx.Begin(ctx) // a savepoint
	if err != nil {
		return 0, err
	}
	n, same, err := metricsdb.DeleteHour(ctx, inner, h)
	if err == nil && !same {
		err = errDiffers
	}
	if err != nil {
		return 0, errors.Join(err, inner.Rollback(ctx))
	}
	if err := inner.Commit(ctx); err != nil {
		return 0, err
	}
	return n, s.at(ctx, "rows deleted")
}

// belowLine counts raw rows below the purge line. There should be none: they
// came by another way than the writer, and no aggregate holds them.
func (s *store) belowLine(ctx context.Context) (map[string]int64, error) {
	found := map[string]int64{}
	for _, kind := range event.Kinds() {
		n, err := metricsdb.CountRowsBelowLine(ctx, s.pool, kind)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			found[metricsdb.RawTable(kind)] = n
		}
	}
	return found, nil
}

// expire deletes one old day's aggregates and receipts, the oldest first, and
// reports how many aggregates went; false when no day is older than before.
func (s *store) expire(ctx context.Context, tx pgx.Tx, before time.Time) (deleted int64, found bool, err error) {
	deleted, found, err = metricsdb.ExpireDay(ctx, tx, before)
	if err != nil || !found {
		return deleted, found, err
	}
	return deleted, true, s.at(ctx, "day expired")
}
