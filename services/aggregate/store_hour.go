package aggregate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// hoursJob is what to do in one transaction: hours of one kind that follow each
// other. One hour is the usual; after a pause, many at once are faster.
type hoursJob struct {
	kind   event.Kind
	starts []time.Time // ascending
	runID  uuid.UUID
	// forced: also hours with a receipt and without a mark.
	forced bool
	users  userCache
}

func (j hoursJob) end() time.Time { return j.starts[len(j.starts)-1].Add(time.Hour) }

// hoursResult is what a job came to.
type hoursResult struct {
	rows  int64
	users *userIndex // its numbers hold once the transaction has committed
}

func (r *hoursResult) committed() {
	if r.users != nil {
		r.users.committed()
	}
}

// aggregate replaces the aggregates of a job's hours in tx, clears their marks,
// and drops their days' sums. Unless forced it leaves out hours with a receipt
// and no mark; and never does it touch an hour below the purge line, which
// another run may have purged since this one made its plan.
func (s *store) aggregate(ctx context.Context, tx pgx.Tx, j hoursJob) (hoursResult, error) {
	var res hoursResult
	rows, err := tx.Query(ctx, hoursNeeded, j.kind, j.starts, j.forced)
	if err != nil {
		return res, err
	}
	needed, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil || len(needed) == 0 {
		return res, err
	}
	for i := range needed {
		needed[i] = needed[i].UTC()
	}
	j.starts = needed
	if err := s.at(ctx, "hours needed"); err != nil {
		return res, err
	}
	users := newUserIndex(j.users)
	t := newTallies(j.kind, j.starts, users)
	err = s.readAtOnce(ctx, tx, t, j)
	if errors.Is(err, errTooLarge) && len(j.starts) == 1 {
		err = s.tallyByKey(ctx, tx, t, j)
	} else if err == nil {
		err = s.writeAtOnce(ctx, tx, t, j)
	}
	if err != nil {
		return res, err
	}
	res.users = users
	for _, hour := range t.hours {
		res.rows += hour.rows
	}
	return res, nil
}

// opening queues what comes before rows are read. The receipts come first: they
// are what two runs of the same hour collide on.
func (j hoursJob) opening() *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(claimReceipts, j.kind, j.starts, j.runID)
	b.Queue(clearHours, j.kind, j.starts)
	b.Queue(clearDays, j.kind, j.days())
	return b
}

func (j hoursJob) days() []time.Time {
	var days []time.Time
	for _, start := range j.starts {
		if day := start.Truncate(24 * time.Hour); len(days) == 0 || !day.Equal(days[len(days)-1]) {
			days = append(days, day)
		}
	}
	return days
}

// readAtOnce opens the job and, in the same round trip, reads its rows. It holds
// all keys with all their response times.
func (s *store) readAtOnce(ctx context.Context, tx pgx.Tx, t *tallies, j hoursJob) (err error) {
	b := j.opening()
	before := b.Len()
	b.Queue(readSQL(j.kind), j.starts[0], j.end())
	results := tx.SendBatch(ctx, b)
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	for range before {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
	}
	rows, err := results.Query()
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := t.read(rows, s.limits); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return s.at(ctx, "rows read")
}

// writeAtOnce writes what was read at once and closes the job.
func (s *store) writeAtOnce(ctx context.Context, tx pgx.Tx, t *tallies, j hoursJob) error {
	if err := t.users.number(ctx, tx); err != nil {
		return fmt.Errorf("number users: %w", err)
	}
	if err := s.at(ctx, "users numbered"); err != nil {
		return err
	}
	var rows keyRows
	keys := make([]int, len(j.starts))
	day := newTally(j.kind, t.users)
	for i, start := range j.starts {
		hour := t.hours[hourNumber(start)]
		keys[i] = len(hour.keys)
		for _, sum := range hour.keys {
			hour.finish(sum)
		}
		if err := rows.add(hour, tx.Conn().TypeMap(), start, hour.keys); err != nil {
			return err
		}
		if j.wholeDay() {
			if err := day.addHour(hour); err != nil {
				return fmt.Errorf("sum up the day: %w", err)
			}
		}
	}
	if err := rows.write(ctx, tx, "aggregated_metrics"); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	b := &pgx.Batch{}
	if j.wholeDay() {
		if err := day.writeDay(ctx, tx, b, j.starts[0], j.runID); err != nil {
			return err
		}
	}
	return s.close(ctx, tx, t, j, keys, b)
}

// wholeDay reports whether the job's hours are those of one day: their sum is
// then the day's, and nobody has to read them back for it.
func (j hoursJob) wholeDay() bool {
	return len(j.starts) == hoursOfDay && j.starts[0].Equal(j.starts[0].Truncate(24*time.Hour)) && j.end().Sub(j.starts[0]) == 24*time.Hour
}

const hoursOfDay = 24

// close writes what hours come to besides the sums of their keys, completes
// their receipts and clears their marks. The marks come last, so that a writer
// with late rows waits for a commit and not for a computation.
func (s *store) close(ctx context.Context, tx pgx.Tx, t *tallies, j hoursJob, keys []int, b *pgx.Batch) error {
	rows, checksums := make([]int64, len(j.starts)), make([]string, len(j.starts))
	for i, start := range j.starts {
		hour := t.hours[hourNumber(start)]
		hour.queueTotals(b, "hour", start)
		hour.queueVersions(b, start)
		rows[i], checksums[i] = hour.rows, hour.checksum.big().String()
	}
	b.Queue(completeReceipts, j.kind, j.starts, rows, checksums, keys)
	b.Queue(clearMarks, j.kind, j.starts)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return s.at(ctx, "hours written")
}

// tallyByKey does the job's one hour, which is open already, holding one key at
// a time: Postgres sorts the rows, on disk if need be. It is for an hour with
// more rows or keys than are held at once.
func (s *store) tallyByKey(ctx context.Context, tx pgx.Tx, t *tallies, j hoursJob) error {
	cursor := "hour_of_" + string(j.kind)
	order := ` ORDER BY app COLLATE "C", endpoint COLLATE "C", method COLLATE "C"`
	if j.kind == event.KindUsage {
		order = ` ORDER BY app COLLATE "C", event_type COLLATE "C"`
	}
	if _, err := tx.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR"+literal(readSQL(j.kind), j)+order); err != nil {
		return fmt.Errorf("read sorted: %w", err)
	}
	start, written := j.starts[0], 0
	hour := newTally(j.kind, t.users)
	t.hours[hourNumber(start)], t.at = hour, -1 // what was read in vain is forgotten, its users apart
	for more := true; more; {
		before := hour.rows
		rows, err := tx.Query(ctx, fmt.Sprintf("FETCH %d FROM %s", s.limits.fetch, cursor), binaryResults)
		if err != nil {
			return fmt.Errorf("read sorted: %w", err)
		}
		if err := t.read(rows, limits{rows: math.MaxInt, keys: math.MaxInt}); err != nil {
			return fmt.Errorf("read sorted: %w", err)
		}
		more = hour.rows-before == int64(s.limits.fetch)
		finished := hour.finished(more)
		written += len(finished)
		if err := s.writeFinished(ctx, tx, hour, j, finished); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "CLOSE "+cursor); err != nil {
		return err
	}
	return s.close(ctx, tx, t, j, []int{written}, &pgx.Batch{})
}

// writeFinished writes keys that were read in order.
func (s *store) writeFinished(ctx context.Context, tx pgx.Tx, hour *tally, j hoursJob, finished map[string]*sum) error {
	if err := s.settleLarge(ctx, tx, j, hour, finished); err != nil {
		return err
	}
	if err := hour.users.number(ctx, tx); err != nil {
		return fmt.Errorf("number users: %w", err)
	}
	for _, sum := range finished {
		hour.finish(sum)
	}
	var rows keyRows
	if err := rows.add(hour, tx.Conn().TypeMap(), j.starts[0], finished); err != nil {
		return err
	}
	if err := rows.write(ctx, tx, "aggregated_metrics"); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return s.at(ctx, "keys written")
}

// settleLarge has Postgres compute the percentiles of keys that have more values
// than are held at once, and so only a histogram.
func (s *store) settleLarge(ctx context.Context, tx pgx.Tx, j hoursJob, t *tally, sums map[string]*sum) error {
	for _, sum := range sums {
		if sum.histogram == nil {
			continue
		}
		var p []float64
		err := tx.QueryRow(ctx, percentilesOfKey, j.starts[0], j.end(), sum.app, sum.path, sum.method).Scan(&p)
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
	hoursNeeded = `
SELECT h FROM unnest($2::timestamptz[]) AS h
 WHERE h >= (SELECT purged_before FROM purge_line)
   AND ($3 OR NOT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket = h)
           OR EXISTS (SELECT FROM hour_marks WHERE metric_type = $1 AND time_bucket = h))
 ORDER BY h`

	claimReceipts = `
INSERT INTO hour_receipts (metric_type, time_bucket, run_id) SELECT $1, h, $3 FROM unnest($2::timestamptz[]) AS h ORDER BY h
ON CONFLICT (metric_type, time_bucket) DO UPDATE SET run_id = excluded.run_id, aggregated_at = now()`

	completeReceipts = `
UPDATE hour_receipts r SET source_rows = n.rows, id_checksum = n.checksum::numeric, keys = n.keys
  FROM unnest($2::timestamptz[], $3::bigint[], $4::text[], $5::int[]) AS n (h, rows, checksum, keys)
 WHERE r.metric_type = $1 AND r.time_bucket = n.h`

	clearHours = `
WITH keys AS (DELETE FROM aggregated_metrics WHERE metric_type = $1 AND time_bucket = ANY($2))
DELETE FROM aggregated_totals WHERE resolution = 'hour' AND metric_type = $1 AND time_bucket = ANY($2)`

	clearDays = `
WITH receipt AS (DELETE FROM day_receipts WHERE metric_type = $1 AND time_bucket = ANY($2)),
     keys AS (DELETE FROM aggregated_days WHERE metric_type = $1 AND time_bucket = ANY($2))
DELETE FROM aggregated_totals WHERE resolution = 'day' AND metric_type = $1 AND time_bucket = ANY($2)`

	clearMarks = `DELETE FROM hour_marks WHERE metric_type = $1 AND time_bucket = ANY($2)`

	percentilesOfKey = `
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms) FROM performance_metrics
 WHERE "timestamp" >= $1 AND "timestamp" < $2 AND app = $3 AND endpoint = $4 AND method = $5`
)
