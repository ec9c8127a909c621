package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// createDatabase makes another database on the server of url and returns its URL.
func createDatabase(t *testing.T, serverURL, name, options string) string {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), serverURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(t.Context())) }()
	_, err = admin.Exec(t.Context(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0 %s", name, options))
	require.NoError(t, err)
	t.Cleanup(func() {
		admin, err := pgx.Connect(context.Background(), serverURL)
		require.NoError(t, err)
		_, err = admin.Exec(context.Background(), fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name))
		require.NoError(t, errors.Join(err, admin.Close(context.Background())))
	})
	u, err := url.Parse(serverURL)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

func TestClassify(t *testing.T) {
	t.Parallel()
	pool := open(t, testkit.Database(t))
	ctx := t.Context()
	exec := func(pool *pgxpool.Pool, sql string, args ...any) error {
		_, err := pool.Exec(ctx, sql, args...)
		return err
	}
	const row = `INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms) VALUES `
	server := testkit.EmptyDatabase(t)
	ascii := open(t, createDatabase(t, server, "encoding_ascii", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"))
	latin := open(t, createDatabase(t, server, "encoding_latin1", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"))

	cases := map[string]struct {
		err         error
		want        postgres.Class
		unreachable bool
	}{
		"no error":                             {nil, postgres.NoError, false},
		"a value out of range":                 {exec(pool, `SELECT 70000::smallint`), postgres.Content, false},
		"a constraint":                         {exec(pool, `INSERT INTO hour_marks VALUES (now(), 'nonsense')`), postgres.Content, false},
		"an escape that SQL_ASCII cannot hold": {exec(ascii, `SELECT '{"a":"\u00df"}'::jsonb`), postgres.Content, false},
		"an escape that LATIN1 cannot hold":    {exec(latin, `SELECT '{"a":"\ud83d\ude00"}'::jsonb`), postgres.Content, false},
		"a letter that LATIN1 cannot hold":     {exec(latin, `SELECT $1::text`, "日本"), postgres.Content, false},
		"a zero byte":                          {exec(pool, `SELECT $1::text`, "a\x00b"), postgres.Content, false},
		"too many columns":                     {exec(pool, `SELECT `+strings.Repeat("1,", 2000)+`1`), postgres.Content, false},
		"a day without partition":              {exec(pool, row+`(gen_random_uuid(), '1999-01-01', now(), 'a', '/', 'GET', 200, 1)`), postgres.MissingPartition, false},
		"a missing table":                      {exec(pool, `SELECT * FROM nowhere`), postgres.Outage, false},
		"a feature that the server lacks":      {exec(pool, `CREATE TEMPORARY TABLE x (a int) WITH (oids = true)`), postgres.Outage, false},
		"a connection that is refused":         {errors.New("dial tcp: refused"), postgres.Outage, true},
		"a deadline":                           {context.DeadlineExceeded, postgres.Outage, true},
		"no free connection slot":              {&pgconn.PgError{Code: "53300"}, postgres.Outage, true},
		"a full disk":                          {&pgconn.PgError{Code: "53100"}, postgres.Outage, false},
		"a server that shuts down":             {&pgconn.PgError{Code: "57P01"}, postgres.Outage, true},
		"a refused password":                   {&pgconn.PgError{Code: "28P01"}, postgres.Outage, true},
		"a deadlock":                           {&pgconn.PgError{Code: "40P01"}, postgres.Conflict, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, postgres.Classify(c.err), "%v", c.err)
			require.Equal(t, c.unreachable, postgres.Unreachable(c.err), "%v", c.err)
			if c.want != postgres.NoError {
				wrapped := fmt.Errorf("store: %w", c.err)
				require.Equal(t, c.want, postgres.Classify(wrapped), "wrapping changes nothing")
				require.Equal(t, c.unreachable, postgres.Unreachable(wrapped))
			}
		})
	}

	t.Run("a duplicate key and a lock timeout are told apart", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, exec(pool, `CREATE TABLE single (n int PRIMARY KEY); INSERT INTO single VALUES (1)`))
		duplicate := exec(pool, `INSERT INTO single VALUES (1)`)
		require.True(t, postgres.IsDuplicate(duplicate))
		require.False(t, postgres.LockTimedOut(duplicate))
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(ctx)) }()
		_, err = tx.Exec(ctx, `LOCK TABLE single`)
		require.NoError(t, err)
		locked := exec(pool, `SET lock_timeout = '20ms'; SELECT * FROM single`)
		require.True(t, postgres.LockTimedOut(locked), "%v", locked)
		require.False(t, postgres.IsDuplicate(locked))
	})

	t.Run("Describe gives the server's message without the wrapping", func(t *testing.T) {
		t.Parallel()
		err := fmt.Errorf("aggregate hour: %w", exec(pool, `DO $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$`))
		require.Equal(t, "disk on fire (SQLSTATE P0001), PL/pgSQL function inline_code_block line 1 at RAISE", postgres.Describe(err))
		require.Equal(t, "plain", postgres.Describe(errors.New("plain")))
	})
}

// The statements of each case run one after another, so the pool holds one session and
// would hand the same one out again if it were kept.
func TestFaultySessionsAreClosed(t *testing.T) {
	t.Parallel()
	server := testkit.EmptyDatabase(t)
	setup := func(t *testing.T, name string) (admin, pool *pgxpool.Pool) {
		t.Helper()
		dsn := createDatabase(t, server, name, "")
		pool = open(t, dsn)
		_, err := pool.Exec(t.Context(), `CREATE SCHEMA metrics; CREATE TABLE metrics.notes (n int)`)
		require.NoError(t, err)
		return open(t, server), pool
	}
	insert := func(t *testing.T, pool *pgxpool.Pool) error {
		_, err := pool.Exec(t.Context(), `INSERT INTO notes VALUES (1)`)
		return err
	}

	t.Run("after the database was read-only for a while", func(t *testing.T) {
		t.Parallel()
		admin, pool := setup(t, "session_read_only")
		_, err := admin.Exec(t.Context(), `ALTER DATABASE session_read_only SET default_transaction_read_only = on`)
		require.NoError(t, err)
		pool.Reset()
		failure := insert(t, pool)
		require.True(t, postgres.SessionAtFault(failure), "%v", failure)
		require.True(t, postgres.EndsWithProbe(failure))
		require.Equal(t, postgres.Outage, postgres.Classify(failure))
		require.ErrorIs(t, postgres.Probe(t.Context(), pool), postgres.ErrReadOnly)
		_, err = admin.Exec(t.Context(), `ALTER DATABASE session_read_only RESET default_transaction_read_only`)
		require.NoError(t, err)
		testkit.EventuallyOK(t, "the probe finds the database writable", func() error { return postgres.Probe(t.Context(), pool) })
		require.NoError(t, insert(t, pool))
	})

	t.Run("after an idle session was made read-only and nobody probed", func(t *testing.T) {
		t.Parallel()
		admin, pool := setup(t, "session_stale")
		_, err := admin.Exec(t.Context(), `ALTER DATABASE session_stale SET default_transaction_read_only = on`)
		require.NoError(t, err)
		pool.Reset()
		require.NoError(t, pool.Ping(t.Context()), "a session with the read-only default is in the pool")
		_, err = admin.Exec(t.Context(), `ALTER DATABASE session_stale RESET default_transaction_read_only`)
		require.NoError(t, err)
		require.True(t, postgres.SessionAtFault(insert(t, pool)))
		require.NoError(t, insert(t, pool), "the failed session is not used again")
	})

	t.Run("after a prepared statement's result type has changed", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t, "session_plan")
		read := func() error {
			rows, err := pool.Query(t.Context(), `SELECT * FROM notes`)
			require.NoError(t, err)
			rows.Close()
			return rows.Err()
		}
		require.NoError(t, read())
		other := open(t, pool.Config().ConnString())
		_, err := other.Exec(t.Context(), `ALTER TABLE metrics.notes ADD COLUMN more text`)
		require.NoError(t, err)
		failure := read()
		require.True(t, postgres.SessionAtFault(failure), "%v", failure)
		require.NoError(t, read())
	})

	t.Run("after the session was terminated", func(t *testing.T) {
		t.Parallel()
		admin, pool := setup(t, "session_killed")
		require.NoError(t, pool.Ping(t.Context()))
		_, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'session_killed'`)
		require.NoError(t, err)
		if failure := insert(t, pool); failure != nil { // pgx may notice the closed socket before it uses it
			require.True(t, postgres.Unreachable(failure), "%v", failure)
			require.True(t, postgres.EndsWithProbe(failure))
		}
		testkit.EventuallyOK(t, "a new session inserts", func() error { return insert(t, pool) })
	})

	t.Run("but not after an error of the content", func(t *testing.T) {
		t.Parallel()
		_, pool := setup(t, "session_kept")
		var before, after int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&before))
		_, err := pool.Exec(t.Context(), `SELECT 1/0`)
		require.False(t, postgres.SessionAtFault(err))
		require.Equal(t, postgres.Content, postgres.Classify(err))
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&after))
		require.Equal(t, before, after)
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	require.NoError(t, postgres.Probe(t.Context(), open(t, testkit.Database(t))))
	away := open(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=1")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := postgres.Probe(ctx, away)
	require.ErrorContains(t, err, "probe the database")
	require.True(t, postgres.EndsWithProbe(err))
}
