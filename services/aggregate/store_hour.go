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
	if err := s.at(ctx, "hour needed"); err != nil {
		return res, err
	}
	t, keys, err := s.tallyHour(ctx, tx, h, runID)
	if err != nil {
		return res, err
	}
	return hourResult{rows: t.rows, keys: keys, done: true}, nil
}

// opening queues what comes before an hour's rows are read. The receipt comes
// first: it is what two runs of the same hour collide on.
func opening(h hour, runID any) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(claimReceipt, h.kind, h.start, runID)
	b.Queue(clearHour, h.kind, h.start)
	b.Queue(clearDay, h.kind, h.start.Truncate(24*time.Hour))
	return b
}

// close writes what an hour comes to besides the sums of its keys, completes
// its receipt and clears its mark. The mark comes last, so that a writer with
// late rows waits for a commit and not for a computation.
func (s *store) close(ctx context.Context, tx pgx.Tx, t *tally, h hour, keys int, b *pgx.Batch) error {
	if err := t.queueTotals(b, "hour", h.start); err != nil {
		return err
	}
	t.queueVersions(b, h.start)
	b.Queue(completeReceipt, h.kind, h.start, t.rows, t.checksum.big().String(), keys)
	b.Queue(clearMark, h.kind, h.start)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return s.at(ctx, "hour written")
}

// tallyHour reads an hour's rows and replaces what they come to. It returns the
// tally and the number of keys.
func (s *store) tallyHour(ctx context.Context, tx pgx.Tx, h hour, runID any) (*tally, int, error) {
	t := newTally(h.kind)
	err := s.readAtOnce(ctx, tx, t, h, opening(h, runID))
	if errors.Is(err, errTooLarge) {
		return s.tallyByKey(ctx, tx, h)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read: %w", err)
	}
	sums := slices.Collect(maps.Values(t.keys))
	for _, sum := range sums {
		sum.settle()
	}
	b := &pgx.Batch{}
	if err := s.queueSums(ctx, tx, t, h, sums, b); err != nil {
		return nil, 0, err
	}
	return t, len(sums), s.close(ctx, tx, t, h, len(sums), b)
}

// readAtOnce holds all keys of the hour with all their response times. Before
// it reads, in the same round trip, it does what b holds.
func (s *store) readAtOnce(ctx context.Context, tx pgx.Tx, t *tally, h hour, b *pgx.Batch) (err error) {
	before := b.Len()
	b.Queue(readSQL(h.kind), h.start, h.end())
	results := tx.SendBatch(ctx, b)
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	for range before {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	if err := t.read(rows, t.within(s.limits)); err != nil {
		return err
	}
	return s.at(ctx, "rows read")
}

// tallyByKey holds one key at a time: Postgres sorts the rows, on disk if need
// be. It is for hours with more rows or keys than are held at once.
func (s *store) tallyByKey(ctx context.Context, tx pgx.Tx, h hour) (*tally, int, error) {
	cursor := "hour_of_" + string(h.kind)
	order := ` ORDER BY app COLLATE "C", endpoint COLLATE "C", method COLLATE "C"`
	if h.kind == event.KindUsage {
		order = ` ORDER BY app COLLATE "C", event_type COLLATE "C"`
	}
	if _, err := tx.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR"+literal(readSQL(h.kind), h)+order); err != nil {
		return nil, 0, fmt.Errorf("read sorted: %w", err)
	}
	t, written := newTally(h.kind), 0
	for more := true; more; {
		before := t.rows
		rows, err := tx.Query(ctx, fmt.Sprintf("FETCH %d FROM %s", s.limits.fetch, cursor), binaryResults)
		if err != nil {
			return nil, 0, fmt.Errorf("read sorted: %w", err)
		}
		if err := t.read(rows, func() error { return nil }); err != nil {
			return nil, 0, err
		}
		more = t.rows-before == int64(s.limits.fetch)
		finished := t.finished(more)
		written += len(finished)
		if err := s.settleLarge(ctx, tx, h, t, finished); err != nil {
			return nil, 0, err
		}
		b := &pgx.Batch{}
		if err := s.queueSums(ctx, tx, t, h, finished, b); err != nil {
			return nil, 0, err
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return nil, 0, fmt.Errorf("write keys: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, "CLOSE "+cursor); err != nil {
		return nil, 0, err
	}
	return t, written, s.close(ctx, tx, t, h, written, &pgx.Batch{})
}

// queueSums adds keys to their apps and queues their insert.
func (s *store) queueSums(ctx context.Context, tx pgx.Tx, t *tally, h hour, sums []*sum, b *pgx.Batch) error {
	if err := t.numberUsers(ctx, tx); err != nil {
		return fmt.Errorf("number users: %w", err)
	}
	if err := s.at(ctx, "users numbered"); err != nil {
		return err
	}
	for _, sum := range sums {
		t.fold(sum)
	}
	return t.queueKeys(b, "aggregated_metrics", h.start, sums)
}

// settleLarge settles keys that were read in order. One with more values than
// are held at once has only its histogram: Postgres computes its percentiles.
func (s *store) settleLarge(ctx context.Context, tx pgx.Tx, h hour, t *tally, sums []*sum) error {
	for _, sum := range sums {
		if sum.histogram == nil {
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
		if sum.histogram == nil && len(sum.values) > s.limits.rows {
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
UPDATE hour_receipts SET source_rows = $3, id_checksum = $4::text::numeric, keys = $5 WHERE metric_type = $1 AND time_bucket = $2`

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
