package aggregate_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/services/aggregate"
)

// The differences between aggregates and plain SQL over all rows ever stored,
// which the tests keep in tables of their own: none must be left.
var references = map[string]string{
	"hours of requests": `
WITH want AS (
    SELECT date_trunc('hour', "timestamp", 'UTC') AS h, app, endpoint, method, count(*) AS n,
           count(*) FILTER (WHERE status_code >= 400) AS errors, count(*) FILTER (WHERE user_id IS NULL) AS anonymous,
           sum(response_time_ms) AS total, min(response_time_ms) AS least, max(response_time_ms) AS most,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY response_time_ms) AS p50,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS p95,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY response_time_ms) AS p99,
           array_agg(DISTINCT user_id ORDER BY user_id) FILTER (WHERE user_id IS NOT NULL) AS users
      FROM all_performance GROUP BY 1, 2, 3, 4),
got AS (
    SELECT time_bucket AS h, app, endpoint_path AS endpoint, method, sample_count AS n, error_count AS errors,
           anonymous_count AS anonymous, response_time_sum AS total, response_time_min AS least, response_time_max AS most,
           (aggregated_values->>'p50_response_time_ms')::float8 AS p50, (aggregated_values->>'p95_response_time_ms')::float8 AS p95,
           (aggregated_values->>'p99_response_time_ms')::float8 AS p99,
           (SELECT array_agg(user_id ORDER BY user_id) FROM user_numbers WHERE user_number = ANY(users)) AS users, aggregated_values AS v
      FROM aggregated_metrics WHERE metric_type = 'performance')
SELECT count(*) FROM want FULL JOIN got USING (h, app, endpoint, method)
 WHERE want.n IS DISTINCT FROM got.n OR want.errors <> got.errors OR want.anonymous <> got.anonymous
    OR abs(want.total - got.total) > 1e-9 * want.total OR want.least <> got.least OR want.most <> got.most
    OR abs(want.p50 - got.p50) > 0.01 * want.p50 OR abs(want.p95 - got.p95) > 0.01 * want.p95 OR abs(want.p99 - got.p99) > 0.01 * want.p99
    OR want.users IS DISTINCT FROM got.users OR (v->>'total_requests')::bigint <> want.n OR (v->>'error_count')::bigint <> want.errors
    OR abs((v->>'error_rate')::float8 - want.errors::float8 / want.n) > 1e-12`,

	"histograms of requests": `
WITH want AS (
    SELECT date_trunc('hour', "timestamp", 'UTC') AS h, app, endpoint, method, histogram_bucket(response_time_ms) AS bucket, count(*) AS n
      FROM all_performance GROUP BY 1, 2, 3, 4, 5),
got AS (
    SELECT time_bucket AS h, app, endpoint_path AS endpoint, method, b.bucket, b.n
      FROM aggregated_metrics, histogram_buckets_of(histogram) b WHERE metric_type = 'performance')
SELECT count(*) FROM want FULL JOIN got USING (h, app, endpoint, method, bucket) WHERE want.n IS DISTINCT FROM got.n`,

	"status codes and error types": `
WITH want AS (
    SELECT date_trunc('hour', "timestamp", 'UTC') AS h, app, endpoint, method, 's' AS what, status_code::text AS item, count(*) AS n
      FROM all_performance GROUP BY 1, 2, 3, 4, 6
    UNION ALL
    SELECT date_trunc('hour', "timestamp", 'UTC'), app, endpoint, method, 'e', coalesce(error_type, ''), count(*)
      FROM all_performance WHERE status_code >= 400 GROUP BY 1, 2, 3, 4, 6),
got AS (
    SELECT time_bucket AS h, app, endpoint_path AS endpoint, method, w.what, i.key AS item, i.value::bigint AS n
      FROM aggregated_metrics,
           (VALUES ('s', 'status_code_distribution'), ('e', 'error_type_distribution')) AS w (what, name),
           jsonb_each_text(aggregated_values->w.name) i WHERE metric_type = 'performance')
SELECT count(*) FROM want FULL JOIN got USING (h, app, endpoint, method, what, item) WHERE want.n IS DISTINCT FROM got.n`,

	"hours of usage": `
WITH want AS (
    SELECT date_trunc('hour', "timestamp", 'UTC') AS h, app, event_type, count(*) AS n,
           count(*) FILTER (WHERE success) AS good, count(*) FILTER (WHERE NOT success) AS bad,
           array_agg(DISTINCT user_id ORDER BY user_id) AS users
      FROM all_usage GROUP BY 1, 2, 3),
got AS (
    SELECT time_bucket AS h, app, event_type, sample_count AS n, success_count AS good, failure_count AS bad,
           (SELECT array_agg(user_id ORDER BY user_id) FROM user_numbers WHERE user_number = ANY(users)) AS users, aggregated_values AS v
      FROM aggregated_metrics WHERE metric_type = 'usage')
SELECT count(*) FROM want FULL JOIN got USING (h, app, event_type)
 WHERE want.n IS DISTINCT FROM got.n OR want.good <> got.good OR want.bad <> got.bad
    OR want.users <> got.users OR (v->>'unique_users')::int <> cardinality(want.users) OR (v->>'total_events')::bigint <> want.n
    OR abs((v->>'success_rate')::float8 - want.good::float8 / nullif(want.good + want.bad, 0)) > 1e-12`,

	"pages and elements": `
WITH want AS (
    SELECT date_trunc('hour', "timestamp", 'UTC') AS h, app, event_type, 'p' AS what, page_name AS item, count(*) AS n
      FROM all_usage WHERE page_name IS NOT NULL GROUP BY 1, 2, 3, 5
    UNION ALL
    SELECT date_trunc('hour', "timestamp", 'UTC'), app, event_type, 'e', element_id, count(*)
      FROM all_usage WHERE element_id IS NOT NULL GROUP BY 1, 2, 3, 5),
got AS (
    SELECT time_bucket AS h, app, event_type, w.what, i.key AS item, i.value::bigint AS n
      FROM aggregated_metrics, (VALUES ('p', 'event_count_by_page'), ('e', 'event_count_by_element')) AS w (what, name),
           jsonb_each_text(aggregated_values->w.name) i WHERE metric_type = 'usage')
SELECT count(*) FROM want FULL JOIN got USING (h, app, event_type, what, item) WHERE want.n IS DISTINCT FROM got.n`,

	"totals are the sums of their keys": `
WITH want AS (
    SELECT metric_type, time_bucket, app, sum(sample_count) AS n, sum(error_count) AS errors,
           sum(anonymous_count) AS anonymous, sum(success_count) AS good, sum(failure_count) AS bad, sum(response_time_sum) AS total,
           min(response_time_min) AS least, max(response_time_max) AS most
      FROM aggregated_metrics GROUP BY 1, 2, 3)
SELECT count(*) FROM want FULL JOIN (SELECT * FROM aggregated_totals WHERE resolution = 'hour') got USING (metric_type, time_bucket, app)
 WHERE n IS DISTINCT FROM sample_count OR errors <> error_count OR anonymous <> anonymous_count
    OR good <> success_count OR bad <> failure_count OR abs(total - response_time_sum) > 1e-9 * total
    OR least <> response_time_min OR most <> response_time_max`,

	"totals hold what their keys hold": `
WITH pieces (metric_type, h, app, what, item, n, side) AS (
    SELECT metric_type, time_bucket, app, 'bucket', bucket::text, sum(n), 'want' FROM aggregated_metrics, histogram_buckets_of(histogram) GROUP BY 1, 2, 3, 5
    UNION ALL SELECT DISTINCT metric_type, time_bucket, app, 'user', u::text, 1::numeric, 'want' FROM aggregated_metrics, unnest(users) u
    UNION ALL SELECT metric_type, time_bucket, app, 'type', event_type, sum(sample_count), 'want' FROM aggregated_metrics WHERE metric_type = 'usage' GROUP BY 1, 2, 3, 5
    UNION ALL SELECT metric_type, time_bucket, app, 'page', key, value::numeric, 'want' FROM aggregated_metrics, jsonb_each_text(aggregated_values->'event_count_by_page') WHERE event_type = 'page_view'
    UNION ALL SELECT metric_type, time_bucket, app, 'status', key, sum(value::numeric), 'want' FROM aggregated_metrics, jsonb_each_text(aggregated_values->'status_code_distribution') GROUP BY 1, 2, 3, 5
    UNION ALL SELECT metric_type, time_bucket, app, 'bucket', bucket::text, n, 'got' FROM aggregated_totals, histogram_buckets_of(histogram) WHERE resolution = 'hour'
    UNION ALL SELECT metric_type, time_bucket, app, 'user', u::text, 1, 'got' FROM aggregated_totals, unnest(users) u WHERE resolution = 'hour'
    UNION ALL SELECT metric_type, time_bucket, app, 'type', key, value::numeric, 'got' FROM aggregated_totals, jsonb_each_text(aggregated_values->'event_count_by_type') WHERE resolution = 'hour'
    UNION ALL SELECT metric_type, time_bucket, app, 'page', key, value::numeric, 'got' FROM aggregated_totals, jsonb_each_text(aggregated_values->'page_views') WHERE resolution = 'hour'
    UNION ALL SELECT metric_type, time_bucket, app, 'status', key, value::numeric, 'got' FROM aggregated_totals, jsonb_each_text(aggregated_values->'status_code_distribution') WHERE resolution = 'hour')
SELECT count(*) FROM (SELECT FROM pieces GROUP BY metric_type, h, app, what, item, n HAVING count(*) <> 2) odd`,

	"days are the sums of their hours": `
WITH want AS (
    SELECT h.metric_type, h.day, app, endpoint_path, method, event_type, sum(sample_count) AS n, sum(error_count) AS errors, sum(response_time_sum) AS total, min(response_time_min) AS least,
           max(response_time_max) AS most,
           (SELECT array_agg(DISTINCT u ORDER BY u) FROM aggregated_metrics m, unnest(m.users) u WHERE m.metric_type = h.metric_type
               AND date_trunc('day', m.time_bucket, 'UTC') = h.day AND m.app = h.app
               AND m.endpoint_path = h.endpoint_path AND m.method = h.method AND m.event_type = h.event_type) AS users
      FROM (SELECT *, date_trunc('day', time_bucket, 'UTC') AS day FROM aggregated_metrics) h
     WHERE EXISTS (SELECT FROM day_receipts r WHERE r.metric_type = h.metric_type AND r.time_bucket = h.day)
     GROUP BY 1, 2, 3, 4, 5, 6)
SELECT count(*) FROM want FULL JOIN aggregated_days got
    ON got.metric_type = want.metric_type AND got.time_bucket = day AND got.app = want.app AND got.endpoint_path = want.endpoint_path
   AND got.method = want.method AND got.event_type = want.event_type
 WHERE n IS DISTINCT FROM sample_count OR errors <> error_count OR abs(total - response_time_sum) > 1e-9 * total
    OR least <> response_time_min OR most <> response_time_max OR want.users IS DISTINCT FROM nullif(got.users, '{}')`,

	"days hold what their hours hold": `
WITH summed AS (SELECT metric_type, time_bucket AS day FROM day_receipts),
pieces (tier, metric_type, day, app, endpoint_path, method, event_type, what, item, n) AS (
    SELECT 'keys', metric_type, date_trunc('day', time_bucket, 'UTC'), app, endpoint_path, method, event_type, v.key, i.key, sum(i.value::numeric)
      FROM aggregated_metrics, jsonb_each(aggregated_values) v, jsonb_each_text(CASE jsonb_typeof(v.value) WHEN 'object' THEN v.value ELSE '{}' END) i
     GROUP BY 2, 3, 4, 5, 6, 7, 8, 9
    UNION ALL
    SELECT 'keys', metric_type, date_trunc('day', time_bucket, 'UTC'), app, endpoint_path, method, event_type, 'bucket', bucket::text, sum(n)
      FROM aggregated_metrics, histogram_buckets_of(histogram) GROUP BY 2, 3, 4, 5, 6, 7, 8, 9
    UNION ALL
    SELECT 'totals', metric_type, date_trunc('day', time_bucket, 'UTC'), app, '', '', '', v.key, i.key, sum(i.value::numeric)
      FROM aggregated_totals, jsonb_each(aggregated_values) v, jsonb_each_text(CASE jsonb_typeof(v.value) WHEN 'object' THEN v.value ELSE '{}' END) i
     WHERE resolution = 'hour' GROUP BY 2, 3, 4, 8, 9
    UNION ALL
    SELECT 'totals', metric_type, date_trunc('day', time_bucket, 'UTC'), app, '', '', '', 'bucket', bucket::text, sum(n)
      FROM aggregated_totals, histogram_buckets_of(histogram) WHERE resolution = 'hour' GROUP BY 2, 3, 4, 8, 9
    UNION ALL
    SELECT 'totals', metric_type, date_trunc('day', time_bucket, 'UTC'), app, '', '', '', 'user', u::text, 1
      FROM aggregated_totals, unnest(users) u WHERE resolution = 'hour' GROUP BY 2, 3, 4, 8, 9
    UNION ALL
    SELECT 'totals', metric_type, date_trunc('day', time_bucket, 'UTC'), app, '', '', '', 'n', '', sum(sample_count)
      FROM aggregated_totals WHERE resolution = 'hour' GROUP BY 2, 3, 4, 8, 9),
want AS (SELECT pieces.* FROM pieces JOIN summed USING (metric_type, day)),
got (tier, metric_type, day, app, endpoint_path, method, event_type, what, item, n) AS (
    SELECT 'keys', metric_type, time_bucket, app, endpoint_path, method, event_type, v.key, i.key, i.value::numeric
      FROM aggregated_days, jsonb_each(aggregated_values) v, jsonb_each_text(CASE jsonb_typeof(v.value) WHEN 'object' THEN v.value ELSE '{}' END) i
    UNION ALL SELECT 'keys', metric_type, time_bucket, app, endpoint_path, method, event_type, 'bucket', bucket::text, n FROM aggregated_days, histogram_buckets_of(histogram)
    UNION ALL SELECT 'totals', metric_type, time_bucket, app, '', '', '', v.key, i.key, i.value::numeric
      FROM aggregated_totals, jsonb_each(aggregated_values) v, jsonb_each_text(CASE jsonb_typeof(v.value) WHEN 'object' THEN v.value ELSE '{}' END) i
     WHERE resolution = 'day'
    UNION ALL SELECT 'totals', metric_type, time_bucket, app, '', '', '', 'bucket', bucket::text, n FROM aggregated_totals, histogram_buckets_of(histogram) WHERE resolution = 'day'
    UNION ALL SELECT 'totals', metric_type, time_bucket, app, '', '', '', 'user', u::text, 1 FROM aggregated_totals, unnest(users) u WHERE resolution = 'day'
    UNION ALL SELECT 'totals', metric_type, time_bucket, app, '', '', '', 'n', '', sample_count FROM aggregated_totals WHERE resolution = 'day')
SELECT count(*) FROM ((TABLE want EXCEPT TABLE got) UNION ALL (TABLE got EXCEPT TABLE want)) odd`,

	"receipts": `
WITH want AS (
    SELECT 'performance' AS metric_type, date_trunc('hour', "timestamp", 'UTC') AS time_bucket, count(*) AS n, sum(uuid_hash_extended(id, 0)) AS checksum
      FROM all_performance GROUP BY 2
    UNION ALL
    SELECT 'usage', date_trunc('hour', "timestamp", 'UTC'), count(*), sum(uuid_hash_extended(id, 0)) FROM all_usage GROUP BY 2)
SELECT count(*) FROM want FULL JOIN hour_receipts r USING (metric_type, time_bucket)
 WHERE coalesce(n, 0) IS DISTINCT FROM source_rows OR coalesce(checksum, 0) <> id_checksum`,

	"versions": `
WITH want AS (
    SELECT app, app_version, min("timestamp") AS first_seen, (max("timestamp") AT TIME ZONE 'UTC')::date AS last_seen_on
      FROM (SELECT app, app_version, "timestamp" FROM all_performance UNION ALL SELECT app, app_version, "timestamp" FROM all_usage) v
     WHERE app_version IS NOT NULL GROUP BY 1, 2)
SELECT count(*) FROM ((TABLE want EXCEPT TABLE app_versions) UNION ALL (TABLE app_versions EXCEPT TABLE want)) odd`,
}

// requireReference compares every aggregate with plain SQL over the rows that
// were ever stored, all of whose hours must be aggregated by now.
func (w *world) requireReference() {
	w.t.Helper()
	for what, sql := range references {
		require.Zero(w.t, scan[int](w, sql), what)
	}
}

func TestAggregates(t *testing.T) {
	t.Parallel()

	t.Run("equal plain SQL over the rows, within the raw window and past it", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-7*24*time.Hour), start.Add(24*time.Hour))
		w.store(w.make(3000, start.Add(-7*24*time.Hour+time.Hour), start.Truncate(time.Hour)))
		run := w.run()
		require.EqualValues(t, 6000, run.RowsAggregated)
		w.requireReference()
		require.EqualValues(t, 14, scan[int](w, `SELECT count(*) FROM day_receipts`), "seven days of both kinds: what is below the line counts as empty")

		w.clock.Advance(5 * 24 * time.Hour)
		run = w.run()
		require.Positive(t, run.RowsDeleted)
		w.requireReference()
		require.Equal(t, scan[int64](w, `SELECT count(*) FROM all_performance WHERE "timestamp" >= (SELECT purged_before FROM purge_line)`),
			scan[int64](w, `SELECT count(*) FROM performance_metrics`))
		require.Equal(t, w.clock.Now().Add(-7*24*time.Hour-5*time.Minute).Truncate(time.Hour), scan[time.Time](w, `SELECT purged_before FROM purge_line`).UTC())

		w.clock.Advance(100 * 24 * time.Hour)
		run = w.run()
		require.Positive(t, run.AggregatesDeleted)
		require.Zero(t, scan[int](w, `SELECT (SELECT count(*) FROM performance_metrics) + (SELECT count(*) FROM usage_events) + (SELECT count(*) FROM aggregated_metrics)
			+ (SELECT count(*) FROM aggregated_days) + (SELECT count(*) FROM aggregated_totals)`))
		require.Zero(t, scan[int](w, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'performance_metrics'::regclass`), "all partitions are dropped")
	})

	t.Run("are the same when made twice", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-48*time.Hour), start)
		w.prepareDump()
		e := w.make(300, start.Add(-40*time.Hour), start.Truncate(time.Hour))
		w.store(e)
		w.run()
		before := w.dump()
		w.exec(`UPDATE hour_receipts SET source_rows = 0 WHERE source_rows > 0`) // as if all were in doubt
		w.run()
		require.Equal(t, before, w.dump())
	})

	t.Run("of a day are the same made with its hours and made of them", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-4*24*time.Hour), start)
		w.prepareDump()
		w.store(w.make(2000, start.Add(-3*24*time.Hour), start.Truncate(time.Hour)))
		var readBack atomic.Int64
		aggregate.SetHook(w.runner, func(_ context.Context, name string) error {
			if name == "day read" {
				readBack.Add(1)
			}
			return nil
		})
		w.rollUp()
		w.requireReference()
		together := w.dump()
		days := scan[int64](w, `SELECT count(*) FROM day_receipts`)
		require.Equal(t, days-4, readBack.Swap(0), "of both kinds two days are whole: the others have empty hours")
		w.exec(`TRUNCATE day_receipts`)
		w.exec(`TRUNCATE aggregate_days`)
		w.exec(`DELETE FROM aggregate_totals WHERE resolution = 'day'`)
		w.rollUp()
		require.Equal(t, days, readBack.Load())
		require.Equal(t, together, w.dump())
	})

	t.Run("keep names as they are", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-24*time.Hour), start)
		const name = "a \"quoted\" <b>\\ü\x7f\n\u2028 name"
		w.exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id, page_name)
			VALUES (gen_random_uuid(), $1, $1, 'orders', 'page_view', 'ada', $2)`, start.Add(-2*time.Hour), name)
		w.run()
		require.Equal(t, name, scan[string](w, `SELECT jsonb_object_keys(aggregated_values->'event_count_by_page') FROM aggregated_metrics`))
	})

	t.Run("of nothing are nothing, and cost nothing the second time", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.rollUp()
		require.EqualValues(t, 2*7*24, scan[int](w, `SELECT count(*) FROM hour_receipts WHERE source_rows = 0`))
		w.rollUp()
		require.Zero(t, scan[int](w, `SELECT count(*) FROM aggregation_runs`), "nothing to do leaves no receipt")
	})

	t.Run("are the same when an hour has more than is held at once", func(t *testing.T) {
		t.Parallel()
		atOnce, byKey := aDay(t), aDay(t)
		aggregate.SetLimits(byKey.runner, 2, 1)
		for _, w := range []*world{atOnce, byKey} {
			w.store(w.make(200, start.Add(-30*time.Hour), start.Add(-29*time.Hour)))
			w.run()
			w.requireReference()
		}
		byKey.requireSame(atOnce)
	})

	t.Run("keep the most frequent of endless names", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-24*time.Hour), start)
		w.exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id, page_name)
			SELECT gen_random_uuid(), $1, $1, 'orders', 'page_view', 'ada', '/p' || least(i, 1500) FROM generate_series(1, 2000) i`, start.Add(-2*time.Hour))
		w.run()
		require.EqualValues(t, 1001, scan[int](w, `SELECT count(*) FROM aggregated_metrics, jsonb_each(aggregated_values->'event_count_by_page')`))
		require.EqualValues(t, 2000, scan[int](w, `SELECT sum(value::int) FROM aggregated_metrics, jsonb_each_text(aggregated_values->'event_count_by_page')`))
		require.EqualValues(t, 501, scan[int](w, `SELECT (aggregated_values->'event_count_by_page'->>'/p1500')::int FROM aggregated_metrics`))
	})
}
