package aggregate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// errSameHash says that two keys of an hour got one hash. Another seed, which
// the next attempt takes, parts them.
var errSameHash = errors.New("two keys hash alike")

// maxItems bounds each distribution of an hour and key: the most frequent stay,
// the rest is summed up under otherItem. Names come from outside.
const maxItems = 1000

// settings of a transaction that computes. Nested loops are only ever chosen
// here because the planner cannot know how many rows an hour has; compiling a
// plan takes longer than running it.
const computeSettings = `SET LOCAL jit = off; SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '32MB'`

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
	day := h.start.Truncate(24 * time.Hour)
	for _, old := range []string{clearHourMetrics, clearHourTotals} {
		if err := s.exec(ctx, tx, "hour cleared", old, h.kind, h.start); err != nil {
			return res, err
		}
	}
	for _, sum := range []string{clearDayReceipt, clearDayMetrics, clearDayTotals} {
		if err := s.exec(ctx, tx, "day cleared", sum, h.kind, day); err != nil {
			return res, err
		}
	}
	if err := s.compute(ctx, tx, h, &res); err != nil {
		return res, err
	}
	// Last, so that a writer with late rows waits for a commit and not for a computation.
	if err := s.exec(ctx, tx, "mark cleared", clearMark, h.kind, h.start); err != nil {
		return res, err
	}
	res.done = true
	return res, nil
}

// compute writes the hour's aggregates and completes its receipt.
func (s *store) compute(ctx context.Context, tx pgx.Tx, h hour, res *hourResult) error {
	if _, err := tx.Exec(ctx, computeSettings); err != nil {
		return err
	}
	sql := aggregatePerformance
	if h.kind == event.KindUsage {
		sql = aggregateUsage
	}
	var checksum string
	var hashes int
	err := tx.QueryRow(ctx, sql, h.start, h.end(), rand.Int64(), maxItems).Scan(&res.rows, &checksum, &res.keys, &hashes)
	if err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	if hashes != res.keys {
		return errSameHash
	}
	if err := s.at(ctx, "computed"); err != nil {
		return err
	}
	return s.exec(ctx, tx, "receipt completed", completeReceipt, h.kind, h.start, res.rows, checksum, res.keys)
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

	clearHourMetrics = `DELETE FROM aggregated_metrics WHERE metric_type = $1 AND time_bucket = $2`
	clearHourTotals  = `DELETE FROM aggregated_totals WHERE resolution = 'hour' AND metric_type = $1 AND time_bucket = $2`
	clearDayReceipt  = `DELETE FROM day_receipts WHERE metric_type = $1 AND time_bucket = $2`
	clearDayMetrics  = `DELETE FROM aggregated_days WHERE metric_type = $1 AND time_bucket = $2`
	clearDayTotals   = `DELETE FROM aggregated_totals WHERE resolution = 'day' AND metric_type = $1 AND time_bucket = $2`
	clearMark        = `DELETE FROM hour_marks WHERE metric_type = $1 AND time_bucket = $2`
)

// The two statements read an hour's rows once, into raw, and group what they
// keep of them. Grouping by the texts of a key for every statistic would cost
// more than the statistics, so rows carry a hash of their key, k; the caller
// compares the number of keys with the number of hashes.
//
//	$1 start of the hour, $2 its end, $3 seed of the hash, $4 items a distribution may have
const aggregatePerformance = `
WITH raw AS MATERIALIZED (
    SELECT hashtextextended(r.endpoint, hashtextextended(r.method, hashtextextended(r.app, $3))) AS k,
           r.app, r.endpoint, r.method, r.app_version, r."timestamp" AS at, r.status_code AS status,
           r.response_time_ms AS ms, response_time_bucket(r.response_time_ms) AS bucket,
           CASE WHEN r.status_code >= 400 THEN coalesce(r.error_type, '') END AS failure,
           u.user_number AS u, CASE WHEN u.user_number IS NULL THEN r.user_id END AS stranger,
           uuid_hash_extended(r.id, 0) AS checksum
      FROM performance_metrics r LEFT JOIN user_numbers u ON u.user_id = r.user_id
     WHERE r."timestamp" >= $1 AND r."timestamp" < $2),
` + freshUsers + `
part AS MATERIALIZED (
    SELECT k, app, endpoint, method, app_version, min(at) AS first_seen, count(*) AS n, sum(checksum) AS checksum,
           count(*) FILTER (WHERE status >= 400) AS errors,
           count(*) FILTER (WHERE u IS NULL AND stranger IS NULL) AS anonymous,
           sum(ms) AS ms_sum, min(ms) AS ms_min, max(ms) AS ms_max
      FROM raw GROUP BY 1, 2, 3, 4, 5),
key AS MATERIALIZED (
    SELECT k, app, endpoint, method, sum(n)::bigint AS n, sum(checksum) AS checksum, sum(errors)::bigint AS errors,
           sum(anonymous)::bigint AS anonymous, sum(ms_sum) AS ms_sum, min(ms_min) AS ms_min, max(ms_max) AS ms_max
      FROM part GROUP BY 1, 2, 3, 4),
` + appUsers + `
percentile AS (
    SELECT k, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY ms) AS p FROM raw GROUP BY k),
bucket AS MATERIALIZED (SELECT k, bucket, count(*) AS n FROM raw GROUP BY 1, 2),
histogram AS (SELECT k, string_agg(histogram_word(bucket, n), '' ORDER BY bucket) AS histogram FROM bucket GROUP BY k),
odd AS MATERIALIZED (SELECT k, status, failure, count(*) AS n FROM raw WHERE status <> 200 GROUP BY 1, 2, 3),
status AS MATERIALIZED (
    SELECT k, status::text AS item, sum(n)::bigint AS n FROM odd GROUP BY 1, 2
    UNION ALL
    SELECT k, '200', n - coalesce(o.odd, 0) FROM key LEFT JOIN (SELECT k, sum(n)::bigint AS odd FROM odd GROUP BY k) o USING (k)
     WHERE n > coalesce(o.odd, 0)),
statuses AS (SELECT k, jsonb_object_agg(item, n) AS items FROM status GROUP BY k),
failures AS (
    SELECT k, jsonb_object_agg(item, n) AS items
      FROM (SELECT k, CASE WHEN place <= $4 THEN item ELSE '(other)' END AS item, sum(n)::bigint AS n
              FROM (SELECT k, failure AS item, sum(n) AS n, row_number() OVER (PARTITION BY k ORDER BY sum(n) DESC, failure) AS place
                      FROM odd WHERE failure IS NOT NULL GROUP BY 1, 2) ranked
             GROUP BY 1, 2) kept
     GROUP BY k),
keyed AS (
    INSERT INTO aggregated_metrics (metric_type, time_bucket, app, endpoint_path, method, aggregated_values, sample_count, id_checksum,
           error_count, anonymous_count, response_time_sum, response_time_min, response_time_max, histogram, users)
    SELECT 'performance', $1, app, endpoint, method,
           jsonb_build_object('avg_response_time_ms', ms_sum / n, 'min_response_time_ms', ms_min, 'max_response_time_ms', ms_max,
               'p50_response_time_ms', p[1], 'p95_response_time_ms', p[2], 'p99_response_time_ms', p[3],
               'total_requests', n, 'error_count', errors, 'error_rate', errors::float8 / n,
               'status_code_distribution', s.items, 'error_type_distribution', coalesce(f.items, '{}')),
           n, checksum, errors, anonymous, ms_sum, ms_min, ms_max, histogram, coalesce(users, '{}')
      FROM key JOIN percentile USING (k) JOIN histogram USING (k) JOIN statuses s USING (k)
           LEFT JOIN failures f USING (k) LEFT JOIN users USING (k)),
app_histogram AS (
    SELECT app, string_agg(histogram_word(bucket, n), '' ORDER BY bucket) AS histogram
      FROM (SELECT app, bucket, sum(bucket.n)::bigint AS n FROM bucket JOIN key USING (k) GROUP BY 1, 2) b GROUP BY app),
app_statuses AS (
    SELECT app, jsonb_object_agg(item, n) AS items
      FROM (SELECT app, item, sum(status.n)::bigint AS n FROM status JOIN key USING (k) GROUP BY 1, 2) s GROUP BY app),
totals AS (
    INSERT INTO aggregated_totals (resolution, metric_type, time_bucket, app, aggregated_values, sample_count, id_checksum,
           error_count, anonymous_count, response_time_sum, response_time_min, response_time_max, histogram, users)
    SELECT 'hour', 'performance', $1, app,
           jsonb_build_object('avg_response_time_ms', ms_sum / n, 'min_response_time_ms', ms_min, 'max_response_time_ms', ms_max,
               'total_requests', n, 'error_count', errors, 'error_rate', errors::float8 / n, 'status_code_distribution', items),
           n, checksum, errors, anonymous, ms_sum, ms_min, ms_max, histogram, coalesce(users, '{}')
      FROM (SELECT app, sum(n)::bigint AS n, sum(checksum) AS checksum, sum(errors)::bigint AS errors,
                   sum(anonymous)::bigint AS anonymous, sum(ms_sum) AS ms_sum, min(ms_min) AS ms_min, max(ms_max) AS ms_max
              FROM key GROUP BY app) total
           JOIN app_histogram USING (app) JOIN app_statuses USING (app) LEFT JOIN app_users USING (app)),
` + seenVersions + `
SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(checksum), 0)::text, count(*), count(DISTINCT k) FROM key`

const aggregateUsage = `
WITH raw AS MATERIALIZED (
    SELECT hashtextextended(r.event_type, hashtextextended(r.app, $3)) AS k,
           r.app, r.event_type, r.app_version, r."timestamp" AS at, r.success, r.page_name AS page, r.element_id AS element,
           u.user_number AS u, CASE WHEN u.user_number IS NULL THEN r.user_id END AS stranger,
           uuid_hash_extended(r.id, 0) AS checksum
      FROM usage_events r LEFT JOIN user_numbers u ON u.user_id = r.user_id
     WHERE r."timestamp" >= $1 AND r."timestamp" < $2),
` + freshUsers + `
part AS MATERIALIZED (
    SELECT k, app, event_type, app_version, min(at) AS first_seen, count(*) AS n, sum(checksum) AS checksum,
           count(*) FILTER (WHERE success) AS successes, count(*) FILTER (WHERE NOT success) AS failures
      FROM raw GROUP BY 1, 2, 3, 4),
key AS MATERIALIZED (
    SELECT k, app, event_type, sum(n)::bigint AS n, sum(checksum) AS checksum, sum(successes)::bigint AS successes,
           sum(failures)::bigint AS failures
      FROM part GROUP BY 1, 2, 3),
` + appUsers + `
page AS MATERIALIZED (
    SELECT k, CASE WHEN place <= $4 THEN item ELSE '(other)' END AS item, sum(n)::bigint AS n
      FROM (SELECT k, page AS item, count(*) AS n, row_number() OVER (PARTITION BY k ORDER BY count(*) DESC, page) AS place
              FROM raw WHERE page IS NOT NULL GROUP BY 1, 2) ranked
     GROUP BY 1, 2),
pages AS (SELECT k, jsonb_object_agg(item, n) AS items FROM page GROUP BY k),
elements AS (
    SELECT k, jsonb_object_agg(item, n) AS items
      FROM (SELECT k, CASE WHEN place <= $4 THEN item ELSE '(other)' END AS item, sum(n)::bigint AS n
              FROM (SELECT k, element AS item, count(*) AS n, row_number() OVER (PARTITION BY k ORDER BY count(*) DESC, element) AS place
                      FROM raw WHERE element IS NOT NULL GROUP BY 1, 2) ranked
             GROUP BY 1, 2) kept
     GROUP BY k),
keyed AS (
    INSERT INTO aggregated_metrics (metric_type, time_bucket, app, event_type, aggregated_values, sample_count, id_checksum,
           success_count, failure_count, users)
    SELECT 'usage', $1, app, event_type,
           jsonb_build_object('total_events', n, 'unique_users', coalesce(cardinality(users), 0),
               'event_count_by_page', coalesce(p.items, '{}'), 'event_count_by_element', coalesce(e.items, '{}'),
               'success_count', successes, 'failure_count', failures,
               'success_rate', successes::float8 / nullif(successes + failures, 0)),
           n, checksum, successes, failures, coalesce(users, '{}')
      FROM key LEFT JOIN pages p USING (k) LEFT JOIN elements e USING (k) LEFT JOIN users USING (k)),
app_types AS (SELECT app, jsonb_object_agg(event_type, n) AS items FROM key GROUP BY app),
app_pages AS (SELECT app, jsonb_object_agg(item, page.n) AS items FROM page JOIN key USING (k) WHERE event_type = 'page_view' GROUP BY app),
totals AS (
    INSERT INTO aggregated_totals (resolution, metric_type, time_bucket, app, aggregated_values, sample_count, id_checksum,
           success_count, failure_count, users)
    SELECT 'hour', 'usage', $1, app,
           jsonb_build_object('total_events', n, 'unique_users', coalesce(cardinality(users), 0),
               'event_count_by_type', t.items, 'page_views', coalesce(p.items, '{}'),
               'success_count', successes, 'failure_count', failures,
               'success_rate', successes::float8 / nullif(successes + failures, 0)),
           n, checksum, successes, failures, coalesce(users, '{}')
      FROM (SELECT app, sum(n)::bigint AS n, sum(checksum) AS checksum, sum(successes)::bigint AS successes,
                   sum(failures)::bigint AS failures
              FROM key GROUP BY app) total
           JOIN app_types t USING (app) LEFT JOIN app_pages p USING (app) LEFT JOIN app_users USING (app)),
` + seenVersions + `
SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(checksum), 0)::text, count(*), count(DISTINCT k) FROM key`

// freshUsers gives users met for the first time their numbers; member is who
// used which key, users the set of each.
const freshUsers = `
fresh AS (
    INSERT INTO user_numbers (user_id) SELECT DISTINCT stranger FROM raw WHERE stranger IS NOT NULL ORDER BY 1
    ON CONFLICT DO NOTHING RETURNING user_number, user_id),
member AS MATERIALIZED (
    SELECT DISTINCT k, u FROM raw WHERE u IS NOT NULL
    UNION ALL
    SELECT DISTINCT k, user_number FROM raw JOIN fresh ON user_id = stranger),
users AS (SELECT k, array_agg(u ORDER BY u) AS users FROM member GROUP BY k),`

const appUsers = `
app_users AS (
    SELECT app, array_agg(u ORDER BY u) AS users FROM (SELECT DISTINCT app, u FROM member JOIN key USING (k)) m GROUP BY app),`

// seenVersions keeps when versions of apps were first seen. Nothing is written
// for a version that was known on that day: hours done side by side would meet.
const seenVersions = `
versions AS (
    INSERT INTO app_versions AS v (app, app_version, first_seen, last_seen_on)
    SELECT app, app_version, min(first_seen), ($1 AT TIME ZONE 'UTC')::date FROM part p
     WHERE app_version IS NOT NULL AND NOT EXISTS (
           SELECT FROM app_versions o WHERE o.app = p.app AND o.app_version = p.app_version
              AND o.first_seen <= p.first_seen AND o.last_seen_on >= ($1 AT TIME ZONE 'UTC')::date)
     GROUP BY 1, 2
    ON CONFLICT (app, app_version) DO UPDATE
       SET first_seen = least(v.first_seen, excluded.first_seen), last_seen_on = greatest(v.last_seen_on, excluded.last_seen_on))`
