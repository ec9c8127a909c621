package metricsdb_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// TestFunctionsWithOwnersRights tries to have the owner of the schema run something
// of the caller's, on a real server.
func TestFunctionsWithOwnersRights(t *testing.T) {
	t.Parallel()
	owner := testkit.Database(t)
	admin, err := pgx.Connect(t.Context(), owner)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })
	exec := func(conn *pgx.Conn, sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	u, err := url.Parse(owner)
	require.NoError(t, err)
	role := "intruder_" + u.Path[max(1, len(u.Path)-12):]
	name := pgx.Identifier{role}.Sanitize()
	exec(admin, `CREATE ROLE `+name+` LOGIN PASSWORD 'secret'`)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), `DROP OWNED BY `+name+`; DROP ROLE `+name)
		require.NoError(t, err)
	})
	exec(admin, `GRANT USAGE ON SCHEMA metrics TO `+name)
	exec(admin, `GRANT TEMP ON DATABASE `+pgx.Identifier{u.Path[1:]}.Sanitize()+` TO `+name)
	u.User = url.UserPassword(role, "secret")
	connect := func() *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), u.String())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
		return conn
	}
	const call = `SELECT metrics.ensure_raw_partition('performance_metrics', '2031-05-01')`

	t.Run("nobody may call them who was not given the right", func(t *testing.T) {
		for _, sql := range []string{call, `SELECT metrics.drop_raw_partition('performance_metrics', '2031-05-01')`} {
			_, err := connect().Exec(t.Context(), sql)
			require.ErrorContains(t, err, "42501")
		}
	})
	exec(admin, `GRANT EXECUTE ON FUNCTION metrics.ensure_raw_partition(text, date), metrics.drop_raw_partition(text, date) TO `+name)

	t.Run("a temporary table of the caller is not taken for the raw table, nor its functions for Postgres'", func(t *testing.T) {
		conn := connect()
		exec(conn, `CREATE FUNCTION pg_temp.become_owner() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
			EXECUTE format('ALTER ROLE %I SUPERUSER', session_user); RETURN 1; END $$`)
		exec(conn, `CREATE TEMP TABLE performance_metrics (id int DEFAULT pg_temp.become_owner(), CHECK (pg_temp.become_owner() = 1))`)
		exec(conn, `CREATE TEMP TABLE performance_metrics_p20310501 (id int)`)
		exec(conn, `CREATE TEMP TABLE purge_line (purged_before timestamptz); INSERT INTO pg_temp.purge_line VALUES ('infinity')`)
		exec(conn, `CREATE FUNCTION pg_temp.to_char(date, text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.become_owner()::text $$`)
		exec(conn, `SET search_path = pg_temp, metrics`)
		var made bool
		require.NoError(t, conn.QueryRow(t.Context(), call).Scan(&made))
		require.True(t, made, "the partition of the real table")
		var dropped bool
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT metrics.drop_raw_partition('performance_metrics', '2031-05-01')`).Scan(&dropped))
		require.False(t, dropped, "the real purge line decides")
	})
	var super bool
	require.NoError(t, admin.QueryRow(t.Context(), `SELECT rolsuper FROM pg_roles WHERE rolname = $1`, role).Scan(&super))
	require.False(t, super)

	t.Run("every one of them has a safe search path, and is closed to the public", func(t *testing.T) {
		rows, err := admin.Query(t.Context(), `SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname = 'metrics' AND p.prosecdef AND (NOT 'search_path=pg_catalog, metrics, pg_temp' = ANY (coalesce(p.proconfig, '{}'))
			   OR has_function_privilege('public', p.oid, 'EXECUTE'))`)
		require.NoError(t, err)
		unsafe, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Empty(t, unsafe)
	})
}
