package aggregate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// sumDay sums up the hours of one UTC day and kind, unless that is done, or not
// all of them are aggregated. It reports whether it did.
func (s *store) sumDay(ctx context.Context, tx pgx.Tx, d day, runID any) (bool, error) {
	var ready bool
	if err := tx.QueryRow(ctx, dayReady, d.kind, d.start).Scan(&ready); err != nil || !ready {
		return false, err
	}
	if err := s.at(ctx, "day read"); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, computeSettings); err != nil {
		return false, err
	}
	for _, sql := range []string{clearDayMetrics, clearDayTotals} {
		if err := s.exec(ctx, tx, "old day cleared", sql, d.kind, d.start); err != nil {
			return false, err
		}
	}
	for _, sql := range []string{sumDayMetrics, sumDayTotals} {
		if err := s.exec(ctx, tx, "day summed", sql, d.kind, d.start); err != nil {
			return false, fmt.Errorf("sum up the day: %w", err)
		}
	}
	return true, s.exec(ctx, tx, "day receipt", writeDayReceipt, d.kind, d.start, runID)
}

// daysToSum lists the closed days that have receipts of hours and no receipt of
// their own, oldest first.
func (s *store) daysToSum(ctx context.Context, now time.Time) ([]day, error) {
	rows, err := s.pool.Query(ctx, openDays, now)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d day, err error) {
		err = row.Scan(&d.kind, &d.start)
		d.start = d.start.UTC()
		return d, err
	})
}

const (
	openDays = `
SELECT h.metric_type, h.day
  FROM (SELECT metric_type, date_trunc('day', time_bucket, 'UTC') AS day FROM hour_receipts GROUP BY 1, 2) h
 WHERE h.day + interval '24 hours' <= $1
   AND NOT EXISTS (SELECT FROM day_receipts d WHERE d.metric_type = h.metric_type AND d.time_bucket = h.day)
 ORDER BY 2, 1`

	// An hour below the purge line without a receipt was empty.
	dayReady = `
SELECT NOT EXISTS (SELECT FROM day_receipts WHERE metric_type = $1 AND time_bucket = $2)
   AND NOT EXISTS (SELECT FROM hour_marks WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours')
   AND NOT EXISTS (
       SELECT FROM generate_series($2::timestamptz, $2 + interval '23 hours', interval '1 hour') AS h
        WHERE h >= (SELECT purged_before FROM purge_line)
          AND NOT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket = h))`

	writeDayReceipt = `
INSERT INTO day_receipts (metric_type, time_bucket, source_rows, run_id)
SELECT $1, $2, coalesce(sum(source_rows), 0)::bigint, $3 FROM hour_receipts
 WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours'
ON CONFLICT (metric_type, time_bucket) DO UPDATE
   SET source_rows = excluded.source_rows, run_id = excluded.run_id, aggregated_at = now()`
)

var (
	sumDayMetrics = sumSQL("aggregated_metrics", "", "aggregated_days", "", "app, endpoint_path, method, event_type")
	sumDayTotals  = sumSQL("aggregated_totals", "resolution = 'hour' AND", "aggregated_totals", "resolution, ", "app")
)

// sumSQL is the statement that adds up a day's rows of source, key by key:
// counts and histograms by adding, sets of users by union, and every object in
// aggregated_values item by item.
//
//	$1 kind, $2 start of the day
func sumSQL(source, only, target, resolution, keys string) string {
	return strings.NewReplacer("{source}", source, "{only}", only, "{target}", target, "{resolution}", resolution,
		"{'day'}", strings.ReplaceAll(resolution, "resolution", "'day'"), "{keys}", keys).Replace(sumTemplate)
}

const sumTemplate = `
WITH hour AS MATERIALIZED (
    -- Appending nothing takes the histogram out of TOAST once, and not once a byte.
    SELECT dense_rank() OVER (ORDER BY {keys}) AS k, {keys}, aggregated_values, sample_count, id_checksum, error_count,
           anonymous_count, success_count, failure_count, response_time_sum, response_time_min, response_time_max,
           histogram || ''::bytea AS histogram, users
      FROM {source} WHERE {only} metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours'),
key AS (
    SELECT k, {keys}, sum(sample_count)::bigint AS n, sum(id_checksum) AS checksum, sum(error_count)::bigint AS errors,
           sum(anonymous_count)::bigint AS anonymous, sum(success_count)::bigint AS successes, sum(failure_count)::bigint AS failures,
           sum(response_time_sum) AS ms_sum, min(response_time_min) AS ms_min, max(response_time_max) AS ms_max
      FROM hour GROUP BY k, {keys}),
histograms AS (
    SELECT k, string_agg(histogram_word(bucket, n), '' ORDER BY bucket) AS histogram
      FROM (SELECT k, b.bucket, sum(b.n)::bigint AS n FROM hour, histogram_buckets(histogram) AS b GROUP BY 1, 2) h GROUP BY k),
sets AS (SELECT k, array_agg(u ORDER BY u) AS users FROM (SELECT DISTINCT k, unnest(users) AS u FROM hour) u GROUP BY k),
distributions AS (
    SELECT k, jsonb_object_agg(name, items) AS d
      FROM (SELECT k, name, jsonb_object_agg(item, n) AS items
              FROM (SELECT k, v.key AS name, i.key AS item, sum(i.value::bigint)::bigint AS n
                      FROM hour, jsonb_each(aggregated_values) AS v,
                           jsonb_each_text(CASE jsonb_typeof(v.value) WHEN 'object' THEN v.value ELSE '{}' END) AS i
                     GROUP BY 1, 2, 3) item
             GROUP BY 1, 2) named
     GROUP BY k)
INSERT INTO {target} ({resolution}metric_type, time_bucket, {keys}, aggregated_values, sample_count, id_checksum, error_count,
       anonymous_count, success_count, failure_count, response_time_sum, response_time_min, response_time_max, histogram, users)
SELECT {'day'}$1, $2, {keys},
       CASE $1::text WHEN 'performance' THEN
           jsonb_build_object('avg_response_time_ms', ms_sum / n, 'min_response_time_ms', ms_min, 'max_response_time_ms', ms_max,
               'total_requests', n, 'error_count', errors, 'error_rate', errors::float8 / n)
       ELSE
           jsonb_build_object('total_events', n, 'unique_users', coalesce(cardinality(users), 0), 'success_count', successes,
               'failure_count', failures, 'success_rate', successes::float8 / nullif(successes + failures, 0))
       END || coalesce(d, '{}'),
       n, checksum, errors, anonymous, successes, failures, ms_sum, ms_min, ms_max, coalesce(histogram, ''), coalesce(users, '{}')
  FROM key LEFT JOIN histograms USING (k) LEFT JOIN sets USING (k) LEFT JOIN distributions USING (k)`
