package metricsdb

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Day is one UTC day of one kind.
type Day struct {
	Kind  event.Kind
	Start time.Time
}

// ListNeededHours returns those of a kind's hours that are not below the purge
// line and have a mark or no receipt; forced, also those with a receipt.
func ListNeededHours(ctx context.Context, tx pgx.Tx, kind event.Kind, starts []time.Time, forced bool) ([]time.Time, error) {
	return queryTimes(ctx, tx, hoursNeeded, kind, starts, forced)
}

// OpenHours returns the statements that begin to replace hours: they claim the
// receipts and delete the hours' aggregates and their days. The receipts come
// first: they are what two runs of the same hour collide on.
func OpenHours(kind event.Kind, starts, days []time.Time, runID uuid.UUID) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(claimReceipts, kind, starts, runID)
	b.Queue(clearHours, kind, allParts(starts))
	QueueClearDays(b, kind, days)
	return b
}

func allParts(hours []time.Time) []time.Time {
	var out []time.Time
	for _, hour := range hours {
		out = append(out, Parts(hour)...)
	}
	return out
}

// QueueClearDays queues the deletion of days' sums and receipts.
func QueueClearDays(b *pgx.Batch, kind event.Kind, days []time.Time) {
	b.Queue(clearDays, kind, days)
}

// HourReceipt says what an hour was made from.
type HourReceipt struct {
	Start    time.Time
	Rows     int64
	Checksum string // sum of the rows' uuid_hash_extended(id, 0)
	Keys     int
}

// QueueReceipts queues the completion of hours' receipts and then the deletion of
// their marks.
func QueueReceipts(b *pgx.Batch, kind event.Kind, receipts []HourReceipt) {
	n := len(receipts)
	starts, rows, checksums, keys := make([]time.Time, n), make([]int64, n), make([]string, n), make([]int, n)
	for i, r := range receipts {
		starts[i], rows[i], checksums[i], keys[i] = r.Start, r.Rows, r.Checksum, r.Keys
	}
	b.Queue(completeReceipts, kind, starts, rows, checksums, keys)
	b.Queue(`DELETE FROM hour_marks WHERE metric_type = $1 AND time_bucket = ANY($2)`, kind, starts)
}

// QueueDayReceipt queues the receipt of a day that is summed up.
func QueueDayReceipt(b *pgx.Batch, d Day, rows int64, runID any) {
	b.Queue(writeDayReceipt, d.Kind, d.Start, rows, runID)
}

// QueueVersions queues when versions of apps were first seen. Nothing is written
// for a version that was known on that day already: hours would meet there.
func QueueVersions(b *pgx.Batch, apps, versions []string, first []time.Time, day time.Time) {
	if len(apps) > 0 {
		b.Queue(upsertVersions, apps, versions, first, day)
	}
}

// ListOpenDays lists the closed days that have receipts of hours and no receipt of
// their own, oldest first.
func ListOpenDays(ctx context.Context, db DB, now time.Time) ([]Day, error) {
	var days []Day
	var d Day
	err := queryRows(ctx, db, "list days", openDays, []any{now}, []any{&d.Kind, &d.Start}, func() error {
		d.Start = d.Start.UTC()
		days = append(days, d)
		return nil
	})
	return days, err
}

// DayReady reports whether all hours of a day are aggregated and the day is not
// summed up yet.
func DayReady(ctx context.Context, tx pgx.Tx, d Day) (ready bool, err error) {
	err = tx.QueryRow(ctx, dayReady, d.Kind, d.Start).Scan(&ready)
	return ready, err
}

// ReadDayKeys reads the keys of a day's hours.
func ReadDayKeys(ctx context.Context, tx pgx.Tx, d Day, each func(app string, a *Aggregate) error) error {
	var app string
	var a Aggregate
	return queryRows(ctx, tx, "read keys", readDayKeys, []any{d.Kind, d.Start}, []any{&app, &a.Key, &a.Samples, &a.Errors, &a.Anonymous,
		&a.Successes, &a.Failures, &a.Sum, &a.Min, &a.Max, &a.Histogram, &a.Users, &a.Statuses, &a.ErrorTypes, &a.Pages, &a.Elements},
		func() error { return each(app, &a) })
}

// ReadDayTotals reads the apps of a day's hours.
func ReadDayTotals(ctx context.Context, tx pgx.Tx, d Day, each func(app string, a *Aggregate) error) error {
	var app string
	var a Aggregate
	return queryRows(ctx, tx, "read totals", readDayTotals, []any{d.Kind, d.Start}, []any{&app, &a.Samples, &a.Errors, &a.Anonymous,
		&a.Successes, &a.Failures, &a.Sum, &a.Min, &a.Max, &a.Histogram, &a.Users, &a.Statuses, &a.EventTypes, &a.Pages},
		func() error { return each(app, &a) })
}

// ExpireDay deletes the aggregates and receipts of the oldest day that ends before
// a time, and reports how many rows of aggregates went; false when there is no
// such day.
func ExpireDay(ctx context.Context, tx pgx.Tx, before time.Time) (deleted int64, found bool, err error) {
	var oldest *time.Time
	if err := tx.QueryRow(ctx, oldestDay, before).Scan(&oldest); err != nil || oldest == nil {
		return 0, false, err
	}
	for _, sql := range expireDay {
		tag, err := tx.Exec(ctx, sql, *oldest)
		if err != nil {
			return 0, false, fmt.Errorf("delete the day %s: %w", oldest.Format(time.DateOnly), err)
		}
		if sql == expireDay[0] {
			deleted = tag.RowsAffected()
		}
	}
	return deleted, true, nil
}

// DeleteOldRecords deletes records of what was done that are older than the
// aggregates, and keys that no aggregate has any more.
func DeleteOldRecords(ctx context.Context, db DB, before time.Time) error {
	for _, sql := range []string{
		`DELETE FROM event_ledger WHERE reported_at < $1`,
		`DELETE FROM aggregation_runs WHERE requested_at < $1 AND status NOT IN ('waiting', 'running')`,
		`DELETE FROM app_versions WHERE last_seen_on < ($1::timestamptz AT TIME ZONE 'UTC')::date`,
	} {
		if _, err := db.Exec(ctx, sql, before); err != nil {
			return err
		}
	}
	return nil
}

var expireDay = []string{
	`DELETE FROM aggregate_hours WHERE starts_at >= $1 AND starts_at < $1::timestamptz + interval '24 hours'`,
	`DELETE FROM aggregate_days WHERE starts_at = $1`,
	`DELETE FROM aggregate_totals WHERE starts_at >= $1 AND starts_at < $1::timestamptz + interval '24 hours'`,
	`DELETE FROM hour_receipts WHERE time_bucket >= $1 AND time_bucket < $1::timestamptz + interval '24 hours'`,
	`DELETE FROM day_receipts WHERE time_bucket = $1`,
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
UPDATE hour_receipts r SET source_rows = n.rows, id_checksum = n.checksum::numeric, keys = n.keys, whole = false
  FROM unnest($2::timestamptz[], $3::bigint[], $4::text[], $5::int[]) AS n (h, rows, checksum, keys)
 WHERE r.metric_type = $1 AND r.time_bucket = n.h`

	clearHours = `
WITH keys AS (DELETE FROM aggregate_hours WHERE metric_type = $1 AND starts_at = ANY($2))
DELETE FROM aggregate_totals WHERE resolution = 'hour' AND metric_type = $1 AND starts_at = ANY($2)`

	clearDays = `
WITH receipt AS (DELETE FROM day_receipts WHERE metric_type = $1 AND time_bucket = ANY($2)),
     keys AS (DELETE FROM aggregate_days WHERE metric_type = $1 AND starts_at = ANY($2))
DELETE FROM aggregate_totals WHERE resolution = 'day' AND metric_type = $1 AND starts_at = ANY($2)`

	upsertVersions = `
INSERT INTO app_versions AS v (app, app_version, first_seen, last_seen_on)
SELECT n.app, n.version, n.first_seen, $4::date FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (app, version, first_seen)
 WHERE NOT EXISTS (SELECT FROM app_versions o WHERE o.app = n.app AND o.app_version = n.version
                      AND o.first_seen <= n.first_seen AND o.last_seen_on >= $4::date)
 ORDER BY 1, 2
ON CONFLICT (app, app_version) DO UPDATE
   SET first_seen = least(v.first_seen, excluded.first_seen), last_seen_on = greatest(v.last_seen_on, excluded.last_seen_on)`

	openDays = `
SELECT h.metric_type, h.day
  FROM (SELECT metric_type, date_trunc('day', time_bucket, 'UTC') AS day FROM hour_receipts GROUP BY 1, 2) h
 WHERE h.day + interval '24 hours' <= $1
   AND NOT EXISTS (SELECT FROM day_receipts d WHERE d.metric_type = h.metric_type AND d.time_bucket = h.day)
 ORDER BY 2, 1`

	// An hour below the purge line without a receipt was empty; but a day without
	// any has been forgotten since it was listed, by another run.
	dayReady = `
SELECT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours')
   AND NOT EXISTS (SELECT FROM day_receipts WHERE metric_type = $1 AND time_bucket = $2)
   AND NOT EXISTS (SELECT FROM hour_marks WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours')
   AND NOT EXISTS (
       SELECT FROM generate_series($2::timestamptz, $2 + interval '23 hours', interval '1 hour') AS h
        WHERE h >= (SELECT purged_before FROM purge_line)
          AND NOT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket = h))`

	readDayKeys = `
SELECT p.app, a.key_number, a.sample_count, coalesce(a.error_count, 0), coalesce(a.anonymous_count, 0), coalesce(a.success_count, 0),
       coalesce(a.failure_count, 0), coalesce(a.response_time_sum, 0), coalesce(a.response_time_min, 0), coalesce(a.response_time_max, 0),
       a.histogram, a.users, a.status_codes, a.error_types, a.pages, a.elements
  FROM aggregate_hours p, ` + KeyRows + `
 WHERE p.metric_type = $1 AND p.starts_at >= $2 AND p.starts_at < $2 + interval '24 hours' ORDER BY p.starts_at`

	readDayTotals = `
SELECT app, sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, histogram, users, status_codes, event_types, page_views
  FROM aggregate_totals
 WHERE resolution = 'hour' AND metric_type = $1 AND starts_at >= $2 AND starts_at < $2 + interval '24 hours' ORDER BY starts_at`

	writeDayReceipt = `
INSERT INTO day_receipts (metric_type, time_bucket, source_rows, run_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (metric_type, time_bucket) DO UPDATE
   SET source_rows = excluded.source_rows, run_id = excluded.run_id, aggregated_at = now()`

	// Whole days only, so that the daily tier never outlives some of its hours;
	// and never an hour that may still have raw rows, or it would come back.
	oldestDay = `
SELECT CASE WHEN day + interval '24 hours' <= least($1, (SELECT purged_before FROM purge_line)) THEN day END
  FROM (SELECT date_trunc('day', least(
            (SELECT min(time_bucket) FROM hour_receipts WHERE metric_type = 'performance'),
            (SELECT min(time_bucket) FROM hour_receipts WHERE metric_type = 'usage')), 'UTC') AS day) oldest`
)
