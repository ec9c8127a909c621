package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = url
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyDatabase(t)
	cfg := postgres.DefaultConfig()
	cfg.URL = url
	ctx := t.Context()

	require.NoError(t, postgres.Migrate(ctx, cfg))
	newest, dirty, err := postgres.MigrationVersion(ctx, cfg)
	require.NoError(t, err)
	require.False(t, dirty)
	require.NoError(t, postgres.Migrate(ctx, cfg), "again changes nothing")

	pool := open(t, url)
	require.NoError(t, postgres.CheckVersion(ctx, pool))
	_, err = pool.Exec(ctx, `SELECT ensure_raw_partition('performance_metrics', '2026-03-14'), ensure_raw_partition('usage_events', '2026-03-14')`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms)
		VALUES (gen_random_uuid(), '2026-03-14 12:00Z', now(), 'a', '/', 'GET', 200, 1)`)
	require.NoError(t, err)

	t.Run("a person with psql finds the tables by their names", func(t *testing.T) {
		conn, err := pgx.Connect(ctx, url)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(ctx)) }()
		var n int
		require.NoError(t, conn.QueryRow(ctx, `SELECT count(*) FROM performance_metrics`).Scan(&n))
		require.Equal(t, 1, n)
	})

	t.Run("down to nothing and up again, with data in it", func(t *testing.T) {
		for v := newest; v > 1; v-- {
			require.NoError(t, postgres.MigrateDown(ctx, cfg, 1))
			require.Error(t, postgres.CheckVersion(ctx, pool), "an older schema is not taken for the newest")
		}
		require.NoError(t, postgres.MigrateDown(ctx, cfg, 0))
		version, _, err := postgres.MigrationVersion(ctx, cfg)
		require.NoError(t, err)
		require.Zero(t, version)
		var left int
		require.NoError(t, pool.QueryRow(ctx, `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'metrics' AND c.relname <> 'schema_migrations' AND c.relname NOT LIKE 'schema_migrations%'`).Scan(&left))
		require.Zero(t, left, "down leaves nothing behind")
		require.NoError(t, postgres.Migrate(ctx, cfg))
	})

	t.Run("several at once get on", func(t *testing.T) {
		other := postgres.DefaultConfig()
		other.URL = testkit.EmptyDatabase(t)
		results := make(chan error, 3)
		for range cap(results) {
			go func() { results <- postgres.Migrate(ctx, other) }()
		}
		for range cap(results) {
			require.NoError(t, testkit.Receive(t, "a migration", results))
		}
	})
}

func TestSerializable(t *testing.T) {
	t.Parallel()
	pool := open(t, testkit.Database(t))
	ctx := t.Context()
	_, err := pool.Exec(ctx, `CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)`)
	require.NoError(t, err)

	t.Run("clashing transactions run again until each has counted", func(t *testing.T) {
		results := make(chan error, 5)
		for range cap(results) {
			go func() {
				results <- postgres.Serializable(ctx, pool, func(tx pgx.Tx) error {
					var n int
					if err := tx.QueryRow(ctx, `SELECT n FROM counter`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, `UPDATE counter SET n = $1`, n+1)
					return err
				})
			}()
		}
		for range cap(results) {
			require.NoError(t, testkit.Receive(t, "a transaction", results))
		}
		var n int
		require.NoError(t, pool.QueryRow(ctx, `SELECT n FROM counter`).Scan(&n))
		require.Equal(t, cap(results), n)
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()

	t.Run("a database that is away does not keep a service from starting", func(t *testing.T) {
		t.Parallel()
		pool := open(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=1")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.Error(t, pool.Ping(ctx))
	})

	t.Run("a broken address is refused without being repeated", func(t *testing.T) {
		t.Parallel()
		cfg := postgres.DefaultConfig()
		cfg.URL = "postgres://user:secret@host:port:5432/x"
		_, err := postgres.Open(t.Context(), cfg)
		require.ErrorContains(t, err, "DATABASE_URL")
		require.NotContains(t, err.Error(), "secret")
	})
}
