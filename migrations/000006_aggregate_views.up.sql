-- The older tables go, and views with their names and columns take their place. It
-- refuses while something is not carried over: `lakepulse migrate up` does that
-- between the migration before and this one.
LOCK TABLE hour_receipts, day_receipts IN EXCLUSIVE MODE;

DO $$
BEGIN
    IF EXISTS (SELECT FROM aggregated_metrics m
                WHERE NOT EXISTS (SELECT FROM aggregates_carried c JOIN hour_receipts r USING (metric_type, time_bucket, aggregated_at)
                                   WHERE c.resolution = 'hour' AND c.metric_type = m.metric_type AND c.time_bucket = m.time_bucket)) THEN
        RAISE EXCEPTION 'aggregates of some hours are not carried over yet: run lakepulse migrate up';
    END IF;
END $$;

-- A day that was summed up after it was carried over is summed up again.
DELETE FROM day_receipts r WHERE NOT EXISTS (SELECT FROM aggregates_carried c
 WHERE c.resolution = 'day' AND c.metric_type = r.metric_type AND c.time_bucket = r.time_bucket AND c.aggregated_at = r.aggregated_at);
DELETE FROM aggregate_days d WHERE NOT EXISTS (SELECT FROM day_receipts r WHERE r.metric_type = d.metric_type AND r.time_bucket = d.starts_at);
DELETE FROM aggregate_totals d WHERE resolution = 'day'
   AND NOT EXISTS (SELECT FROM day_receipts r WHERE r.metric_type = d.metric_type AND r.time_bucket = d.starts_at);

DROP TABLE aggregates_carried;
DROP TABLE aggregated_totals;
DROP TABLE aggregated_days;
DROP TABLE aggregated_metrics;
DROP FUNCTION histogram_buckets(bytea);
DROP FUNCTION histogram_word(int, bigint);
DROP FUNCTION response_time_bucket(double precision);

-- One row per hour, kind and key, computed on reading. Percentiles are within 1 %.
CREATE VIEW aggregated_metrics AS
SELECT metric_type, time_bucket, app, endpoint_path, method, event_type,
       CASE metric_type WHEN 'performance' THEN jsonb_build_object(
           'avg_response_time_ms', response_time_sum / sample_count, 'min_response_time_ms', response_time_min,
           'max_response_time_ms', response_time_max,
           'p50_response_time_ms', histogram_percentile(histogram, 0.5, response_time_min, response_time_max),
           'p95_response_time_ms', histogram_percentile(histogram, 0.95, response_time_min, response_time_max),
           'p99_response_time_ms', histogram_percentile(histogram, 0.99, response_time_min, response_time_max),
           'total_requests', sample_count, 'error_count', error_count, 'error_rate', error_count::float8 / sample_count,
           'status_code_distribution', counts_by_code(status_codes), 'error_type_distribution', counts_by_name(error_types))
       ELSE jsonb_build_object(
           'total_events', sample_count, 'unique_users', cardinality(users), 'success_count', success_count, 'failure_count', failure_count,
           'success_rate', success_count::float8 / nullif(success_count + failure_count, 0),
           'event_count_by_page', counts_by_name(pages), 'event_count_by_element', counts_by_name(elements)) END AS aggregated_values,
       sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, histogram, users
  FROM (SELECT p.metric_type, date_bin('1 hour', p.starts_at, 'epoch') AS time_bucket, p.app, k.endpoint_path, k.method, k.event_type,
               sum(a.sample_count)::bigint AS sample_count, coalesce(sum(a.error_count), 0)::bigint AS error_count,
               coalesce(sum(a.anonymous_count), 0)::bigint AS anonymous_count, coalesce(sum(a.success_count), 0)::bigint AS success_count,
               coalesce(sum(a.failure_count), 0)::bigint AS failure_count, coalesce(sum(a.response_time_sum), 0) AS response_time_sum,
               coalesce(min(a.response_time_min), 0) AS response_time_min, coalesce(max(a.response_time_max), 0) AS response_time_max,
               histogram_of_all(array_agg(a.histogram)) AS histogram,
               ARRAY(SELECT DISTINCT u FROM unnest(array_agg(a.users)) AS s, unnest(user_numbers_of(s)) AS u ORDER BY u) AS users,
               array_agg(a.status_codes) AS status_codes, array_agg(a.error_types) AS error_types,
               array_agg(a.pages) AS pages, array_agg(a.elements) AS elements
          FROM aggregate_hours p, unnest(p.key_numbers, p.sample_counts, p.error_counts, p.anonymous_counts, p.success_counts, p.failure_counts,
                      p.response_time_sums, p.response_time_mins, p.response_time_maxs, p.histograms, p.users, p.status_codes, p.error_types,
                      p.pages, p.elements)
                   AS a (key_number, sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum,
                      response_time_min, response_time_max, histogram, users, status_codes, error_types, pages, elements)
               JOIN aggregate_keys k USING (key_number)
         GROUP BY 1, 2, 3, 4, 5, 6) AS merged;

-- The same per UTC day.
CREATE VIEW aggregated_days AS
SELECT metric_type, time_bucket, app, endpoint_path, method, event_type,
       CASE metric_type WHEN 'performance' THEN jsonb_build_object(
           'avg_response_time_ms', response_time_sum / sample_count, 'min_response_time_ms', response_time_min,
           'max_response_time_ms', response_time_max,
           'p50_response_time_ms', histogram_percentile(histogram, 0.5, response_time_min, response_time_max),
           'p95_response_time_ms', histogram_percentile(histogram, 0.95, response_time_min, response_time_max),
           'p99_response_time_ms', histogram_percentile(histogram, 0.99, response_time_min, response_time_max),
           'total_requests', sample_count, 'error_count', error_count, 'error_rate', error_count::float8 / sample_count,
           'status_code_distribution', counts_by_code(status_codes), 'error_type_distribution', counts_by_name(error_types))
       ELSE jsonb_build_object(
           'total_events', sample_count, 'unique_users', cardinality(users), 'success_count', success_count, 'failure_count', failure_count,
           'success_rate', success_count::float8 / nullif(success_count + failure_count, 0),
           'event_count_by_page', counts_by_name(pages), 'event_count_by_element', counts_by_name(elements)) END AS aggregated_values,
       sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, histogram, users
  FROM (SELECT p.metric_type, p.starts_at AS time_bucket, p.app, k.endpoint_path, k.method, k.event_type,
               sum(a.sample_count)::bigint AS sample_count, coalesce(sum(a.error_count), 0)::bigint AS error_count,
               coalesce(sum(a.anonymous_count), 0)::bigint AS anonymous_count, coalesce(sum(a.success_count), 0)::bigint AS success_count,
               coalesce(sum(a.failure_count), 0)::bigint AS failure_count, coalesce(sum(a.response_time_sum), 0) AS response_time_sum,
               coalesce(min(a.response_time_min), 0) AS response_time_min, coalesce(max(a.response_time_max), 0) AS response_time_max,
               histogram_of_all(array_agg(a.histogram)) AS histogram,
               ARRAY(SELECT DISTINCT u FROM unnest(array_agg(a.users)) AS s, unnest(user_numbers_of(s)) AS u ORDER BY u) AS users,
               array_agg(a.status_codes) AS status_codes, array_agg(a.error_types) AS error_types,
               array_agg(a.pages) AS pages, array_agg(a.elements) AS elements
          FROM aggregate_days p, unnest(p.key_numbers, p.sample_counts, p.error_counts, p.anonymous_counts, p.success_counts, p.failure_counts,
                      p.response_time_sums, p.response_time_mins, p.response_time_maxs, p.histograms, p.users, p.status_codes, p.error_types,
                      p.pages, p.elements)
                   AS a (key_number, sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum,
                      response_time_min, response_time_max, histogram, users, status_codes, error_types, pages, elements)
               JOIN aggregate_keys k USING (key_number)
         GROUP BY 1, 2, 3, 4, 5, 6) AS merged;

-- The same per app: parts of an hour are put together.
CREATE VIEW aggregated_totals AS
SELECT resolution, metric_type, time_bucket, app,
       CASE metric_type WHEN 'performance' THEN jsonb_build_object('status_code_distribution', counts_by_code(status_codes))
       ELSE jsonb_build_object('event_count_by_type', counts_by_name(event_types), 'page_views', counts_by_name(page_views)) END AS aggregated_values,
       sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, histogram, users
  FROM (SELECT resolution, metric_type, CASE resolution WHEN 'hour' THEN date_bin('1 hour', starts_at, 'epoch') ELSE starts_at END AS time_bucket, app,
               sum(sample_count)::bigint AS sample_count, sum(error_count)::bigint AS error_count, sum(anonymous_count)::bigint AS anonymous_count,
               sum(success_count)::bigint AS success_count, sum(failure_count)::bigint AS failure_count, sum(response_time_sum) AS response_time_sum,
               min(response_time_min) AS response_time_min, max(response_time_max) AS response_time_max,
               histogram_of_all(array_agg(histogram)) AS histogram,
               ARRAY(SELECT DISTINCT u FROM unnest(array_agg(users)) AS s, unnest(user_numbers_of(s)) AS u ORDER BY u) AS users,
               array_agg(status_codes) AS status_codes, array_agg(event_types) AS event_types, array_agg(page_views) AS page_views
          FROM aggregate_totals GROUP BY 1, 2, 3, 4) AS merged;
