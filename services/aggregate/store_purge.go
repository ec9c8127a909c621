package aggregate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
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

// lineState is the purge line and what decides how far it may move.
type lineState struct {
	line   time.Time  // zero for -infinity
	next   *time.Time // first hour at or above the line that has rows
	stored *time.Time // up to where the log is stored; nil without a log
	stream *string
}

// purge deletes the raw rows of the oldest hour that has any and moves the line
// past it, or moves the line alone where there is nothing to delete. target is
// where the line belongs by the retention.
func (s *store) purge(ctx context.Context, tx pgx.Tx, p purgeParams) (purgeStep, error) {
	var step purgeStep
	if err := s.closeGate(ctx, tx, p.lockTimeout); err != nil {
		return step, err
	}
	state, err := readLine(ctx, tx)
	if err != nil {
		return step, err
	}
	allowed := p.allowed(state, &step)
	step.line = state.line
	if !state.line.Before(allowed) {
		step.finished = true
		return step, nil
	}
	move := allowed
	if state.next != nil && state.next.Before(allowed) {
		step.hour, move = state.next.UTC(), state.next.UTC().Add(time.Hour)
		for _, kind := range event.Kinds() {
			if err := s.purgeHour(ctx, tx, hour{kind, step.hour}, p, &step); err != nil {
				return step, fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	step.line, step.finished = move, !move.Before(allowed)
	if err := s.exec(ctx, tx, "marks below the line cleared", clearMarksBelow, move); err != nil {
		return step, err
	}
	return step, s.exec(ctx, tx, "line moved", moveLine, move)
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
func (p purgeParams) allowed(state lineState, step *purgeStep) time.Time {
	if state.stored == nil {
		return p.target // no writer has ever stored anything: nothing is in flight
	}
	reach := state.stored.Add(-p.rawRetention - p.margin).Truncate(time.Hour)
	if !reach.Before(p.target) {
		return p.target
	}
	step.heldBy = fmt.Sprintf("the writer: %s is stored up to %s; raw rows are kept until it is past %s", *state.stream,
		state.stored.UTC().Format(time.RFC3339), reach.Add(time.Hour+p.rawRetention+p.margin).Format(time.RFC3339))
	return reach
}

// closeGate waits for the transactions of writers and keeps new ones out until
// the end of tx. It must come before anything that takes tx's snapshot: only
// then does tx see all that they have stored.
func (s *store) closeGate(ctx context.Context, tx pgx.Tx, timeout time.Duration) error {
	set := fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", timeout.Milliseconds())
	if _, err := tx.Exec(ctx, set); err != nil {
		return err
	}
	return s.exec(ctx, tx, "gate closed", `LOCK TABLE purge_gate IN EXCLUSIVE MODE`)
}

func readLine(ctx context.Context, tx pgx.Tx) (lineState, error) {
	var state lineState
	var line *time.Time
	err := tx.QueryRow(ctx, selectLine).Scan(&line, &state.next, &state.stored, &state.stream)
	if err != nil {
		return state, fmt.Errorf("read the purge line: %w", err)
	}
	if line != nil {
		state.line = line.UTC()
	}
	return state, nil
}

// purgeHour deletes the raw rows of one hour and kind, after it has made sure
// that the aggregates count exactly these.
func (s *store) purgeHour(ctx context.Context, tx pgx.Tx, h hour, p purgeParams, step *purgeStep) error {
	job := hoursJob{kind: h.kind, starts: []time.Time{h.start}, runID: p.runID, users: userCache{}}
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
	var n int64
	var same bool
	err = inner.QueryRow(ctx, fmt.Sprintf(deleteHour, rawTable(h.kind)), h.kind, h.start, h.end()).Scan(&n, &same)
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

// hold writes down what keeps the purge line where it is.
func (s *store) hold(ctx context.Context, by string) error {
	_, err := s.pool.Exec(ctx, `UPDATE purge_line SET held_by = nullif($1, ''), updated_at = now() WHERE held_by IS DISTINCT FROM nullif($1, '')`, by)
	return err
}

// belowLine counts raw rows below the purge line. There should be none: they
// came by another way than the writer, and no aggregate holds them.
func (s *store) belowLine(ctx context.Context) (map[string]int64, error) {
	found := map[string]int64{}
	for _, kind := range event.Kinds() {
		var n int64
		if err := s.pool.QueryRow(ctx, fmt.Sprintf(countBelow, rawTable(kind))).Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			found[rawTable(kind)] = n
		}
	}
	return found, nil
}

// expire deletes one old day's aggregates and receipts, the oldest first, and
// reports how many aggregates went; false when no day is older than before.
func (s *store) expire(ctx context.Context, tx pgx.Tx, before time.Time) (deleted int64, found bool, err error) {
	var oldest *time.Time
	if err := tx.QueryRow(ctx, oldestDay, before).Scan(&oldest); err != nil || oldest == nil {
		return 0, false, err
	}
	for _, table := range []string{"aggregated_metrics", "aggregated_totals", "aggregated_days", "hour_receipts", "day_receipts"} {
		tag, err := tx.Exec(ctx, fmt.Sprintf(deleteDay, table), *oldest)
		if err != nil {
			return 0, false, fmt.Errorf("delete from %s: %w", table, err)
		}
		if table == "aggregated_metrics" {
			deleted = tag.RowsAffected()
		}
	}
	return deleted, true, s.at(ctx, "day expired")
}

// tidy deletes records of what was done that are older than the aggregates.
func (s *store) tidy(ctx context.Context, before time.Time) error {
	for _, sql := range []string{
		`DELETE FROM event_ledger WHERE reported_at < $1`,
		`DELETE FROM aggregation_runs WHERE requested_at < $1 AND status NOT IN ('waiting', 'running')`,
		`DELETE FROM app_versions WHERE last_seen_on < ($1::timestamptz AT TIME ZONE 'UTC')::date`,
	} {
		if _, err := s.pool.Exec(ctx, sql, before); err != nil {
			return err
		}
	}
	return nil
}

// partition is a day's part of a raw table.
type partition struct {
	table string
	day   time.Time
}

// oldPartitions lists the partitions that lie wholly below the purge line.
func (s *store) oldPartitions(ctx context.Context) ([]partition, error) {
	rows, err := s.pool.Query(ctx, listOldPartitions)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) {
		err = row.Scan(&p.table, &p.day)
		return p, err
	})
}

func (s *store) dropPartition(ctx context.Context, p partition) (dropped bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT drop_raw_partition($1, $2::date)`, p.table, p.day).Scan(&dropped)
	return dropped, err
}

const (
	selectLine = `
SELECT CASE WHEN isfinite(l.purged_before) THEN l.purged_before END,
       date_trunc('hour', least(
           (SELECT "timestamp" FROM performance_metrics WHERE "timestamp" >= l.purged_before ORDER BY "timestamp" LIMIT 1),
           (SELECT "timestamp" FROM usage_events WHERE "timestamp" >= l.purged_before ORDER BY "timestamp" LIMIT 1)), 'UTC'),
       p.stored_through, p.stream
  FROM purge_line l LEFT JOIN (SELECT stream, stored_through FROM stream_positions ORDER BY stored_through LIMIT 1) p ON true`

	moveLine        = `UPDATE purge_line SET purged_before = $1, held_by = NULL, updated_at = now()`
	clearMarksBelow = `DELETE FROM hour_marks WHERE time_bucket < $1`

	deleteHour = `
WITH gone AS (DELETE FROM %s WHERE "timestamp" >= $2 AND "timestamp" < $3 RETURNING id),
     sum AS (SELECT count(*) AS n, coalesce(sum(uuid_hash_extended(id, 0)), 0) AS checksum FROM gone)
SELECT n, coalesce((SELECT source_rows = n AND id_checksum = checksum FROM hour_receipts WHERE metric_type = $1 AND time_bucket = $2), false)
  FROM sum`

	countBelow = `SELECT count(*) FROM %s WHERE "timestamp" < (SELECT purged_before FROM purge_line)`

	// Whole days only, so that the daily tier never outlives some of its hours;
	// and never an hour that may still have raw rows, or it would come back.
	oldestDay = `
SELECT CASE WHEN day + interval '24 hours' <= least($1, (SELECT purged_before FROM purge_line)) THEN day END
  FROM (SELECT date_trunc('day', least(
            (SELECT min(time_bucket) FROM hour_receipts WHERE metric_type = 'performance'),
            (SELECT min(time_bucket) FROM hour_receipts WHERE metric_type = 'usage')), 'UTC') AS day) oldest`

	deleteDay = `DELETE FROM %s WHERE time_bucket >= $1 AND time_bucket < $1::timestamptz + interval '24 hours'`

	listOldPartitions = `
SELECT p.relname::text, to_date(right(c.relname, 8), 'YYYYMMDD')
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent IN ('performance_metrics'::regclass, 'usage_events'::regclass)
   AND c.relname ~ '_p[0-9]{8}$'
   AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= (SELECT purged_before FROM purge_line)
 ORDER BY 2, 1`
)
