package metricsdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// LockGateShared is the statement a writer enters the purge gate with, before
// it reads the line: no purge runs until the transaction ends.
const LockGateShared = `LOCK TABLE purge_gate IN ROW SHARE MODE`

// SelectLineMicros is the statement that returns the purge line in microseconds
// since 1970, -Infinity before the first purge. It needs a snapshot of its own
// after [LockGateShared].
const SelectLineMicros = `SELECT extract(epoch FROM purged_before) * 1000000 FROM purge_line`

// EnterGate keeps purges out until tx ends. Call it before the purge line is read.
func EnterGate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, LockGateShared); err != nil {
		return fmt.Errorf("enter the purge gate: %w", err)
	}
	return nil
}

// CloseGate waits for the transactions of writers and keeps new ones out until
// tx ends. Call it before tx takes its snapshot: only then does tx see every row
// the writers have stored. With a timeout of 0 it waits as long as it takes;
// after another one the error is 55P03.
func CloseGate(ctx context.Context, tx pgx.Tx, timeout time.Duration) error {
	if timeout > 0 {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", timeout.Milliseconds())); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `LOCK TABLE purge_gate IN EXCLUSIVE MODE`); err != nil {
		return fmt.Errorf("close the purge gate: %w", err)
	}
	return nil
}

// PurgeLine says since when raw rows exist: those before it are deleted and
// counted in the aggregates.
type PurgeLine struct {
	PurgedBefore time.Time // the zero time before the first purge
	HeldBy       string    // what keeps the line from moving; "" when nothing does
}

// ReadPurgeLine reads the purge line.
func ReadPurgeLine(ctx context.Context, db DB) (PurgeLine, error) {
	var line PurgeLine
	var at *time.Time
	err := db.QueryRow(ctx, `SELECT CASE WHEN isfinite(purged_before) THEN purged_before END, coalesce(held_by, '') FROM purge_line`).
		Scan(&at, &line.HeldBy)
	if err != nil {
		return line, fmt.Errorf("read the purge line: %w", err)
	}
	line.PurgedBefore = utc(at)
	return line, nil
}

// MovePurgeLine moves the line up. tx has closed the gate and has deleted what
// lies below. Marks below the line are deleted too: no raw row is left there.
func MovePurgeLine(ctx context.Context, tx pgx.Tx, to time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM hour_marks WHERE time_bucket < $1`, to); err != nil {
		return fmt.Errorf("clear marks below the purge line: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE purge_line SET purged_before = $1, held_by = NULL, updated_at = now()`, to); err != nil {
		return fmt.Errorf("move the purge line: %w", err)
	}
	return nil
}

// LowerPurgeLine moves the line down to at, so that older rows may be stored.
// tx has closed the gate and has made sure that no aggregate covers that time.
func LowerPurgeLine(ctx context.Context, tx pgx.Tx, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE purge_line SET purged_before = least(purged_before, $1), held_by = NULL, updated_at = now()`, at)
	if err != nil {
		return fmt.Errorf("lower the purge line: %w", err)
	}
	return nil
}

// HoldPurgeLine writes down what keeps the line where it is; "" when nothing does.
func HoldPurgeLine(ctx context.Context, db DB, by string) error {
	_, err := db.Exec(ctx, `UPDATE purge_line SET held_by = nullif($1, ''), updated_at = now() WHERE held_by IS DISTINCT FROM nullif($1, '')`, by)
	return err
}

// PurgeState is the purge line and what decides how far it may move.
type PurgeState struct {
	Line      time.Time // the zero time before the first purge
	NextHour  time.Time // the first hour at or above the line with raw rows; zero when there is none
	Stored    time.Time // up to when the log is stored; zero without a log
	StoredOf  string    // the stream that Stored speaks of
	HasStored bool
}

// ReadPurgeState reads the purge line and what decides how far it may move.
func ReadPurgeState(ctx context.Context, tx pgx.Tx) (PurgeState, error) {
	var s PurgeState
	var line, next, stored *time.Time
	var name *string
	if err := tx.QueryRow(ctx, selectPurgeState).Scan(&line, &next, &stored, &name); err != nil {
		return s, fmt.Errorf("read the purge line: %w", err)
	}
	s.Line, s.NextHour, s.Stored, s.HasStored = utc(line), utc(next), utc(stored), stored != nil
	if name != nil {
		s.StoredOf = *name
	}
	return s, nil
}

const selectPurgeState = `
SELECT CASE WHEN isfinite(l.purged_before) THEN l.purged_before END,
       date_trunc('hour', least(
           (SELECT "timestamp" FROM performance_metrics WHERE "timestamp" >= l.purged_before ORDER BY "timestamp" LIMIT 1),
           (SELECT "timestamp" FROM usage_events WHERE "timestamp" >= l.purged_before ORDER BY "timestamp" LIMIT 1)), 'UTC'),
       p.stored_through, p.stream
  FROM purge_line l LEFT JOIN (SELECT stream, stored_through FROM stream_positions ORDER BY stored_through LIMIT 1) p ON true`
