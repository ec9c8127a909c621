package carry_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/migrations/carry"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// olderDatabase returns a database as the build before left it: the older tables,
// filled, at the version of the schema that it had.
func olderDatabase(t *testing.T) (postgres.Config, *pgx.Conn) {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.EmptyDatabase(t)
	require.NoError(t, postgres.Migrate(t.Context(), cfg))
	newest, _, err := postgres.MigrationVersion(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, postgres.MigrateDown(t.Context(), cfg, int(newest)-carry.From+1)) // a small number
	pc, err := pgx.ParseConfig(cfg.URL)
	require.NoError(t, err)
	pc.RuntimeParams["search_path"], pc.RuntimeParams["timezone"] = postgres.Schema, "UTC"
	conn, err := pgx.ConnectConfig(t.Context(), pc)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	_, err = conn.Exec(t.Context(), fillOlder)
	require.NoError(t, err)
	return cfg, conn
}

// Two days of three apps: hours whose values lie below, in and above the older
// scale, sets of users of all sizes, distributions with names that repeat.
const fillOlder = `
CREATE FUNCTION older_row(h timestamptz, i int, OUT v jsonb, OUT n bigint, OUT histogram bytea, OUT users int[]) LANGUAGE sql AS $$
  SELECT jsonb_build_object('avg_response_time_ms', 5, 'min_response_time_ms', 0.02, 'max_response_time_ms', 4e6,
             'status_code_distribution', jsonb_build_object('200', 3 + i, '503', 2), 'error_type_distribution', jsonb_build_object('Timeout', 1, '', 1)),
         5 + i + extract(hour FROM h)::int,
         CASE i WHEN 0 THEN histogram_word(0, 2) ELSE '' END || histogram_word(200 + 10 * i, 3 + i) || histogram_word(300, 1 + extract(hour FROM h)::int)
             || CASE WHEN i = 2 THEN histogram_word(880, 0 + 1) ELSE '' END,
         ARRAY(SELECT u FROM generate_series(1, 1 + i * i * 40, 1 + i) AS u)
$$;
INSERT INTO user_numbers (user_id) SELECT 'user' || i FROM generate_series(1, 200) AS i;
INSERT INTO aggregated_metrics
SELECT 'performance', h, 'app' || a, '/e/' || e, 'GET', '', r.v, r.n, 1, 2, 1, 0, 0, 5 * r.n, 0.02, 4e6, r.histogram, r.users
  FROM generate_series(timestamptz '2026-03-01', '2026-03-02 23:00', interval '1 hour') AS h, generate_series(1, 3) AS a, generate_series(1, 4) AS e, older_row(h, a - 1) AS r;
INSERT INTO aggregated_metrics
SELECT 'usage', h, 'app1', '', '', t, jsonb_build_object('total_events', 7, 'event_count_by_page', jsonb_build_object('/a', 4, '(other)', 2), 'event_count_by_element', jsonb_build_object('/a', 1)),
       7, 1, 0, 0, 3, 1, 0, 0, 0, '', '{3,150}'
  FROM generate_series(timestamptz '2026-03-01', '2026-03-02 23:00', interval '1 hour') AS h, unnest(ARRAY['page_view', 'button_click']) AS t;
INSERT INTO aggregated_totals
SELECT 'hour', metric_type, time_bucket, app, CASE metric_type WHEN 'performance' THEN '{"status_code_distribution": {"200": 4}}'
       ELSE '{"event_count_by_type": {"page_view": 7, "button_click": 7}, "page_views": {"/a": 4}}' END::jsonb,
       sum(sample_count), 1, sum(error_count), sum(anonymous_count), sum(success_count), sum(failure_count), sum(response_time_sum), min(response_time_min), max(response_time_max),
       CASE metric_type WHEN 'performance' THEN histogram_word(500, sum(sample_count)::bigint) ELSE '' END, '{1,2,3}'
  FROM aggregated_metrics GROUP BY 2, 3, 4;
INSERT INTO aggregated_days
SELECT metric_type, date_trunc('day', time_bucket, 'UTC'), app, endpoint_path, method, event_type,
       CASE metric_type WHEN 'performance' THEN '{"status_code_distribution": {"200": 9}}' ELSE '{}' END::jsonb, sum(sample_count), 1,
       sum(error_count), sum(anonymous_count), sum(success_count), sum(failure_count), sum(response_time_sum), min(response_time_min), max(response_time_max),
       CASE metric_type WHEN 'performance' THEN histogram_word(500, sum(sample_count)::bigint) ELSE '' END, '{4}'
  FROM aggregated_metrics GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO aggregated_totals SELECT 'day', metric_type, time_bucket, app, '{}', sum(sample_count), 1, 0, 0, 0, 0, 0, 0, 0, '', '{}' FROM aggregated_days GROUP BY 2, 3, 4;
INSERT INTO hour_receipts (metric_type, time_bucket, source_rows) SELECT metric_type, time_bucket, sum(sample_count) FROM aggregated_metrics GROUP BY 1, 2;
INSERT INTO day_receipts (metric_type, time_bucket, source_rows) SELECT metric_type, time_bucket, sum(sample_count) FROM aggregated_days GROUP BY 1, 2;
CREATE FUNCTION tidy(a jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT a - 'id_checksum' - 'histogram' - 'aggregated_values'
  || jsonb_build_object('values', (SELECT jsonb_object_agg(key, value) FROM jsonb_each(a->'aggregated_values') WHERE jsonb_typeof(value) = 'object' AND value <> '{}')) $$;
CREATE TABLE was AS SELECT 'metrics' AS tier, tidy(to_jsonb(a)) AS row FROM aggregated_metrics a UNION ALL SELECT 'days', tidy(to_jsonb(a)) FROM aggregated_days a
  UNION ALL SELECT 'totals', tidy(to_jsonb(a)) FROM aggregated_totals a;
CREATE TABLE buckets_were AS SELECT metric_type, time_bucket, app, endpoint_path,
  CASE WHEN bucket = 0 THEN 1 WHEN bucket = 880 THEN 1275 ELSE bucket + 234 END AS bucket, n FROM aggregated_metrics, histogram_buckets(histogram);
`

const (
	rowsDiffering = `SELECT count(*) FROM ((SELECT tier, row::text FROM was EXCEPT SELECT * FROM now_are) UNION ALL (SELECT * FROM now_are EXCEPT SELECT tier, row::text FROM was)) AS d`
	nowAre        = `WITH now_are AS (SELECT 'metrics' AS tier, tidy(to_jsonb(a))::text FROM aggregated_metrics a UNION ALL SELECT 'days', tidy(to_jsonb(a))::text FROM aggregated_days a
		UNION ALL SELECT 'totals', tidy(to_jsonb(a))::text FROM aggregated_totals a) `
	bucketsDiffering = `SELECT count(*) FROM buckets_were w FULL JOIN (SELECT metric_type, time_bucket, app, endpoint_path, bucket, n FROM aggregated_metrics,
		histogram_buckets_of(histogram)) AS i USING (metric_type, time_bucket, app, endpoint_path, bucket) WHERE w.n IS DISTINCT FROM i.n`
)

func count(t *testing.T, conn *pgx.Conn, sql string) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

func TestCarryOver(t *testing.T) {
	t.Parallel()

	t.Run("everything is there under the same names afterwards", func(t *testing.T) {
		t.Parallel()
		cfg, conn := olderDatabase(t)
		require.Positive(t, count(t, conn, `SELECT count(*) FROM was`))
		require.NoError(t, postgres.Migrate(t.Context(), cfg))
		require.Zero(t, count(t, conn, nowAre+rowsDiffering))
		require.Zero(t, count(t, conn, bucketsDiffering))
		require.Equal(t, 4, count(t, conn, `SELECT count(*) FROM day_receipts`), "days stay summed up")
		require.Zero(t, count(t, conn, `SELECT count(*) FROM hour_receipts WHERE NOT whole`), "nobody says that the older hours are in parts")

		t.Run("and again after the way back and forth", func(t *testing.T) {
			require.NoError(t, postgres.MigrateDown(t.Context(), cfg, 3))
			require.Zero(t, count(t, conn, nowAre+rowsDiffering))
			require.NoError(t, postgres.Migrate(t.Context(), cfg))
			require.Zero(t, count(t, conn, nowAre+rowsDiffering))
			require.Zero(t, count(t, conn, bucketsDiffering))
		})
	})

	t.Run("an hour that is aggregated again meanwhile is carried over again", func(t *testing.T) {
		t.Parallel()
		cfg, conn := olderDatabase(t)
		require.NoError(t, postgres.Migrate(t.Context(), cfg))
		require.NoError(t, postgres.MigrateDown(t.Context(), cfg, 2)) // the tables of both are there, as half-way through
		n, err := carry.Run(t.Context(), conn)
		require.NoError(t, err)
		require.Equal(t, 2*(48+2), n)
		again := func() {
			_, err = conn.Exec(t.Context(), `
				UPDATE aggregated_metrics SET sample_count = sample_count + 1000 WHERE time_bucket = '2026-03-01 18:00+00' AND app = 'app2';
				UPDATE hour_receipts SET aggregated_at = clock_timestamp() WHERE time_bucket = '2026-03-01 18:00+00' AND metric_type = 'performance';
				DELETE FROM aggregated_days WHERE time_bucket = '2026-03-01' AND metric_type = 'performance';
				DELETE FROM day_receipts WHERE time_bucket = '2026-03-01' AND metric_type = 'performance'`)
			require.NoError(t, err)
		}
		again()
		n, err = carry.Run(t.Context(), conn)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		again()
		require.NoError(t, postgres.Migrate(t.Context(), cfg))
		require.Equal(t, 4*(5+1+18+2000), count(t, conn, `SELECT sum(sample_count)::int FROM aggregated_metrics WHERE time_bucket = '2026-03-01 18:00+00' AND app = 'app2'`))
		require.Equal(t, 3, count(t, conn, `SELECT count(*) FROM day_receipts`), "the day is to be summed up again")
		require.Zero(t, count(t, conn, `SELECT count(*) FROM aggregate_days WHERE starts_at = '2026-03-01' AND metric_type = 'performance'`))
	})

	t.Run("waits for an aggregation run that is at work", func(t *testing.T) {
		t.Parallel()
		cfg, conn := olderDatabase(t)
		_, err := conn.Exec(t.Context(), `UPDATE aggregation_lease SET holder = 'a run', run_id = gen_random_uuid(), held_until = clock_timestamp() + interval '2 seconds'`)
		require.NoError(t, err)
		require.NoError(t, postgres.Migrate(t.Context(), cfg))
		require.Equal(t, 1, count(t, conn, `SELECT (held_until < clock_timestamp())::int FROM aggregation_lease`), "and gives the lease back")
	})

	t.Run("ends with the context", func(t *testing.T) {
		t.Parallel()
		cfg, conn := olderDatabase(t)
		_, err := conn.Exec(t.Context(), `UPDATE aggregation_lease SET holder = 'a run', run_id = gen_random_uuid(), held_until = clock_timestamp() + interval '1 hour'`)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		require.Error(t, postgres.Migrate(ctx, cfg))
		_, dirty, err := postgres.MigrationVersion(t.Context(), cfg)
		require.NoError(t, err)
		require.False(t, dirty)
		require.Zero(t, count(t, conn, nowAre+rowsDiffering), "the older tables are untouched")
	})
}
