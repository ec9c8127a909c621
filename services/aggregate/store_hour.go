package aggregate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// hourResult is what one hour of one kind came to.
type hourResult struct {
	rows int64
	keys int
	done bool // false: nothing was left to do
}

// aggregateHour replaces the aggregates of one hour and kind in tx, clears its
// mark, and drops its day's sums. Unless forced it does nothing when there is a
// receipt and no mark; and never does it touch an hour below the purge line,
// which another run may have purged since this one made its plan.
func (s *store) aggregateHour(ctx context.Context, tx pgx.Tx, h hour, runID any, forced bool) (hourResult, error) {
	var res hourResult
	var needed bool
	if err := tx.QueryRow(ctx, hourNeeded, h.kind, h.start, forced).Scan(&needed); err != nil || !needed {
		return res, err
	}
	// The receipt comes first: it is what two runs of the same hour collide on.
	if err := s.exec(ctx, tx, "receipt claimed", claimReceipt, h.kind, h.start, runID); err != nil {
		return res, err
	}
	if err := s.exec(ctx, tx, "hour cleared", clearHour, h.kind, h.start); err != nil {
		return res, err
	}
	if err := s.exec(ctx, tx, "day cleared", clearDay, h.kind, h.start.Truncate(24*time.Hour)); err != nil {
		return res, err
	}
	t, keys, err := s.tallyHour(ctx, tx, h)
	if err != nil {
		return res, err
	}
	err = s.exec(ctx, tx, "receipt completed", completeReceipt, h.kind, h.start, t.rows, numeric(t.checksum.big()), keys)
	if err != nil {
		return res, err
	}
	// Last, so that a writer with late rows waits for a commit and not for a computation.
	if err := s.exec(ctx, tx, "mark cleared", clearMark, h.kind, h.start); err != nil {
		return res, err
	}
	return hourResult{rows: t.rows, keys: keys, done: true}, nil
}

// tallyHour reads an hour's rows and writes what they come to. It returns the
// tally and the number of keys.
func (s *store) tallyHour(ctx context.Context, tx pgx.Tx, h hour) (*tally, int, error) {
	t, keys, err := s.tallyAtOnce(ctx, tx, h)
	if errors.Is(err, errTooLarge) {
		t, keys, err = s.tallyByKey(ctx, tx, h)
	}
	if err != nil {
		return nil, 0, err
	}
	if err := t.writeTotals(ctx, tx, "hour", h.start); err != nil {
		return nil, 0, err
	}
	if err := s.at(ctx, "totals written"); err != nil {
		return nil, 0, err
	}
	if err := t.writeVersions(ctx, tx, h.start); err != nil {
		return nil, 0, fmt.Errorf("versions: %w", err)
	}
	return t, keys, s.at(ctx, "versions written")
}

// tallyAtOnce holds all keys of the hour with all their response times.
func (s *store) tallyAtOnce(ctx context.Context, tx pgx.Tx, h hour) (*tally, int, error) {
	t := newTally(h.kind)
	rows, err := tx.Query(ctx, readSQL(h.kind), binaryResults, h.start, h.end())
	if err != nil {
		return nil, 0, fmt.Errorf("read rows: %w", err)
	}
	if err := t.read(rows, t.within(s.limits)); err != nil {
		return nil, 0, err
	}
	if err := s.at(ctx, "rows read"); err != nil {
		return nil, 0, err
	}
	sums := slices.Collect(maps.Values(t.keys))
	for _, sum := range sums {
		sum.settle()
	}
	return t, len(sums), s.writeSums(ctx, tx, t, h, sums)
}

// tallyByKey holds one key at a time: Postgres sorts the rows, on disk if need
// be. It is for hours with more rows or keys than are held at once.
func (s *store) tallyByKey(ctx context.Context, tx pgx.Tx, h hour) (*tally, int, error) {
	fetch := int64(s.limits.fetch)
	cursor := "hour_of_" + string(h.kind)
	order := ` ORDER BY app COLLATE "C", endpoint COLLATE "C", method COLLATE "C"`
	if h.kind == event.KindUsage {
		order = ` ORDER BY app COLLATE "C", event_type COLLATE "C"`
	}
	if _, err := tx.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR"+literal(readSQL(h.kind), h)+order); err != nil {
		return nil, 0, fmt.Errorf("read rows: %w", err)
	}
	t, written := newTally(h.kind), 0
	for more := true; more; {
		before := t.rows
		rows, err := tx.Query(ctx, fmt.Sprintf("FETCH %d FROM %s", fetch, cursor), binaryResults)
		if err != nil {
			return nil, 0, fmt.Errorf("read rows: %w", err)
		}
		if err := t.read(rows, func() error { return nil }); err != nil {
			return nil, 0, err
		}
		more = t.rows-before == fetch
		finished := t.finished(more)
		written += len(finished)
		if err := s.settleLarge(ctx, tx, h, t, finished); err != nil {
			return nil, 0, err
		}
		if err := s.writeSums(ctx, tx, t, h, finished); err != nil {
			return nil, 0, err
		}
	}
	_, err := tx.Exec(ctx, "CLOSE "+cursor)
	return t, written, err
}

// writeSums writes keys and adds them to their apps.
func (s *store) writeSums(ctx context.Context, tx pgx.Tx, t *tally, h hour, sums []*sum) error {
	if err := t.numberUsers(ctx, tx); err != nil {
		return fmt.Errorf("number users: %w", err)
	}
	if err := s.at(ctx, "users numbered"); err != nil {
		return err
	}
	for _, sum := range sums {
		t.fold(sum)
	}
	if err := t.writeKeys(ctx, tx, "aggregated_metrics", h.start, sums); err != nil {
		return err
	}
	return s.at(ctx, "keys written")
}

// settleLarge settles keys that were read in order. One with more values than
// are held at once has only its histogram: Postgres computes its percentiles.
func (s *store) settleLarge(ctx context.Context, tx pgx.Tx, h hour, t *tally, sums []*sum) error {
	for _, sum := range sums {
		if sum.histogram == nil || t.kind == event.KindUsage {
			sum.settle()
			continue
		}
		var p []float64
		err := tx.QueryRow(ctx, percentilesOfKey, h.start, h.end(), sum.app, sum.path, sum.method).Scan(&p)
		if err != nil {
			return fmt.Errorf("percentiles of %s %s: %w", sum.method, sum.path, err)
		}
		copy(sum.percentile[:], p)
		sum.hasPercentile = true
	}
	for _, sum := range t.keys { // the one that goes on
		if t.kind == event.KindPerformance && sum.histogram == nil && len(sum.values) > s.limits.rows {
			sum.spill()
		}
	}
	return nil
}

func readSQL(kind event.Kind) string {
	if kind == event.KindUsage {
		return readEvents
	}
	return readRequests
}

const (
	hourNeeded = `
SELECT $2 >= (SELECT purged_before FROM purge_line)
   AND ($3 OR NOT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket = $2)
           OR EXISTS (SELECT FROM hour_marks WHERE metric_type = $1 AND time_bucket = $2))`

	claimReceipt = `
INSERT INTO hour_receipts (metric_type, time_bucket, run_id) VALUES ($1, $2, $3)
ON CONFLICT (metric_type, time_bucket) DO UPDATE SET run_id = excluded.run_id, aggregated_at = now()`

	completeReceipt = `
UPDATE hour_receipts SET source_rows = $3, id_checksum = $4, keys = $5 WHERE metric_type = $1 AND time_bucket = $2`

	clearHour = `
WITH keys AS (DELETE FROM aggregated_metrics WHERE metric_type = $1 AND time_bucket = $2)
DELETE FROM aggregated_totals WHERE resolution = 'hour' AND metric_type = $1 AND time_bucket = $2`

	clearDay = `
WITH receipt AS (DELETE FROM day_receipts WHERE metric_type = $1 AND time_bucket = $2),
     keys AS (DELETE FROM aggregated_days WHERE metric_type = $1 AND time_bucket = $2)
DELETE FROM aggregated_totals WHERE resolution = 'day' AND metric_type = $1 AND time_bucket = $2`

	clearMark = `DELETE FROM hour_marks WHERE metric_type = $1 AND time_bucket = $2`

	percentilesOfKey = `
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms) FROM performance_metrics
 WHERE "timestamp" >= $1 AND "timestamp" < $2 AND app = $3 AND endpoint = $4 AND method = $5`
)
