package cli_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/cli"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/installation"
)

// both are the flags that name an installation's log and database.
func both(s *installation.Installation) []string {
	return []string{"--nats", s.NATS.URL(), "--database", s.DSN}
}

func onLog(s *installation.Installation, words ...string) []string {
	return append(words, "--nats", s.NATS.URL())
}

func onBoth(s *installation.Installation, words ...string) []string {
	return append(words, both(s)...)
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	dsn := testkit.EmptyDatabase(t)
	migrate := func(words ...string) result {
		t.Helper()
		return run(t, append([]string{"migrate", "--database", dsn}, words...)...)
	}
	version := func() int {
		t.Helper()
		r := migrate("version")
		require.Zero(t, r.code, r.errs)
		n, err := strconv.Atoi(strings.TrimSpace(r.out))
		require.NoError(t, err)
		return n
	}
	require.Zero(t, version(), "an empty database has version 0")
	require.Zero(t, migrate("up").code)
	newest := version()
	require.Positive(t, newest)
	require.Zero(t, migrate("up").code, "again changes nothing")
	require.Zero(t, migrate("down").code)
	require.Equal(t, newest-1, version(), "one version back unless told otherwise")
	require.Zero(t, migrate("up").code)
	require.Zero(t, migrate("down", "--steps", "2").code)
	require.Equal(t, newest-2, version())
	require.Zero(t, migrate("down", "--all").code)
	require.Zero(t, version())

	t.Run("a database that is away is a failure, not wrong usage", func(t *testing.T) {
		t.Parallel()
		r := run(t, "migrate", "--database", unreachable, "up")
		require.Equal(t, 1, r.code)
		require.NotEmpty(t, r.errs)
	})
}

// unreachable is a database on a port that nobody listens on.
const unreachable = "postgres://nobody:hunter2@127.0.0.1:1/none?sslmode=disable&connect_timeout=2"

func TestAggregateOnce(t *testing.T) {
	t.Parallel()

	t.Run("exits with 0 when it is done", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Publish(eventtest.Performance("orders", 30, installation.Recent()))
		s.Write(1)
		r := run(t, "aggregate", "--once", "--database", s.DSN)
		require.Zero(t, r.code, r.errs)
		require.Contains(t, r.out, "30 rows aggregated")
		require.Regexp(t, `run [0-9a-f-]{36}`, r.out)
		again := run(t, "aggregate", "--once", "--database", s.DSN)
		require.Zero(t, again.code, again.errs)
		require.Contains(t, again.out, "0 rows aggregated")
	})

	t.Run("exits with 1 when the database is unreachable", func(t *testing.T) {
		t.Parallel()
		r := run(t, "aggregate", "--once", "--database", unreachable)
		require.Equal(t, 1, r.code, r.errs)
		require.Contains(t, r.errs, "the database is unreachable; check DATABASE_URL")
		require.NotContains(t, r.errs, "hunter2")
	})

	t.Run("exits with 2 when the aggregation failed", func(t *testing.T) {
		t.Parallel()
		r := run(t, "aggregate", "--once", "--no-migrate", "--database", testkit.EmptyDatabase(t))
		require.Equal(t, 2, r.code, r.errs)
	})

	t.Run("exits with 2 when some hours failed, and names them", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Publish(eventtest.Performance("orders", 3, installation.Recent()))
		s.Write(1)
		s.Exec(`ALTER TABLE aggregate_keys ADD CONSTRAINT no_orders CHECK (app <> 'orders')`)
		r := run(t, "aggregate", "--once", "--database", s.DSN)
		require.Equal(t, 2, r.code, r.errs)
		require.Contains(t, r.errs, "no_orders")
		require.Contains(t, r.errs, "correlation id")
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	url, database := testkit.NATS(t).URL(), testkit.Database(t)
	keys := func(words ...string) result {
		t.Helper()
		return run(t, append([]string{"keys", "--nats", url, "--database", database}, words...)...)
	}
	created := keys("create", "--app", "orders", "--note", "production")
	require.Zero(t, created.code, created.errs)
	require.Len(t, strings.Fields(created.out), 1, "standard output has the key alone, for scripts")
	require.Contains(t, created.errs, "for app orders")
	require.NotContains(t, created.errs, strings.TrimSpace(created.out))

	list := keys("list")
	require.Zero(t, list.code)
	fields := strings.Split(strings.TrimSpace(list.out), "\t")
	require.Equal(t, []string{"orders", "active", "production"}, []string{fields[1], fields[3], fields[4]})
	require.NotContains(t, list.out, strings.TrimSpace(created.out), "the secret is not shown again")

	require.Zero(t, keys("revoke", fields[0]).code)
	require.Contains(t, keys("list").out, "\trevoked ")
	require.Equal(t, 1, keys("revoke", "unknown").code)
	require.Equal(t, 1, keys("create", "--app", "not an app").code)
}

func TestToolsFindAStandaloneByItsDataDirectory(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nats.url"), []byte(s.NATS.URL()+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "postgres.url"), []byte(s.DSN+"\n"), 0o600))
	s.Publish(eventtest.Usage("shop", 5, installation.Recent()))
	s.Write(1)
	r := run(t, "verify", "--data-dir", dir)
	require.Zero(t, r.code, r.errs)
	require.Contains(t, r.out, "shop")
	r = run(t, "aggregate", "--once", "--data-dir", dir)
	require.Zero(t, r.code, r.errs)
	require.Contains(t, r.out, "5 rows aggregated")
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batch := eventtest.Usage("shop", 5, installation.Recent())
	s.Publish(batch)
	s.Write(1)
	require.Zero(t, run(t, onBoth(s, "verify")...).code)
	s.Exec(`DELETE FROM usage_events WHERE id = $1`, batch.Usage[3].ID)

	r := run(t, onBoth(s, "verify")...)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.out, batch.Usage[3].ID.String())
	require.Contains(t, r.errs, "log and database differ")

	require.NotContains(t, run(t, onBoth(s, "verify", "--ids", "0")...).out, batch.Usage[3].ID.String())
	require.Zero(t, run(t, onBoth(s, "verify", "--since", "1m")...).code, "hours before --since are not compared")

	r = run(t, "verify", "--nats", s.NATS.URL(), "--database", unreachable)
	require.Equal(t, 1, r.code, "it could not compare: another code than a difference")
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batch := eventtest.Usage("shop", 5, installation.Recent())
	s.Publish(batch)
	s.Write(1)
	answer := func(text string) result {
		t.Helper()
		return runWith(t, cli.Params{Args: onBoth(s, "rebuild", "--truncate"), In: strings.NewReader(text)})
	}
	s.Exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id) VALUES (gen_random_uuid(), $1, $2, 'old', 'x', 'u')`,
		installation.Recent(), time.Now().Add(-time.Hour))

	s.Exec(`UPDATE usage_events SET received_at = now() WHERE app = 'shop'`) // the generated events claim to be older than the log
	for _, text := range []string{"", "no\n", "y\n", "yes please\n"} {
		r := answer(text)
		require.Equal(t, 1, r.code)
		require.Contains(t, r.errs, "This deletes 6 rows; 1 of them cannot be rebuilt.")
		require.Contains(t, r.errs, "nothing was changed")
		require.Len(t, s.IDs(), 6)
	}
	r := answer("yes\n")
	require.Zero(t, r.code, r.errs)
	require.Contains(t, r.out, "5 stored")
	require.Equal(t, installation.IDsOf(batch), s.IDs())

	r = run(t, onBoth(s, "rebuild", "--truncate", "--yes")...)
	require.Zero(t, r.code, r.errs)
	require.NotContains(t, r.errs, "Type yes")
	r = run(t, onBoth(s, "rebuild")...)
	require.Zero(t, r.code, r.errs)
	require.Contains(t, r.out, "5 existed already")
}

func TestReplay(t *testing.T) {
	t.Parallel()
	from, to := installation.Start(t), installation.Start(t)
	orders, shop := eventtest.Performance("orders", 20, installation.Recent()), eventtest.Usage("shop", 10, installation.Recent())
	from.Publish(orders, shop)
	dir := t.TempDir()
	state := func(name string) []string { return []string{"--state", filepath.Join(dir, name)} }
	replay := func(words ...string) result {
		t.Helper()
		r := run(t, append([]string{"replay"}, words...)...)
		require.Zero(t, r.code, r.errs)
		return r
	}

	t.Run("into a database", func(t *testing.T) {
		r := replay(append(onLog(from, "--to-database", to.DSN), state("database")...)...)
		require.Contains(t, r.errs, "30 stored")
		require.Equal(t, installation.IDsOf(orders, shop), to.IDs())
	})

	t.Run("onto another log", func(t *testing.T) {
		replay(append(onLog(from, "--to-nats", to.NATS.URL()), state("log")...)...)
		reach, err := stream.ReadReach(t.Context(), to.JS)
		require.NoError(t, err)
		require.EqualValues(t, 2, reach.Messages)
	})

	t.Run("to standard output, only some of the events", func(t *testing.T) {
		r := replay(onLog(from, "--to-file", "-", "--app", "orders", "--kind", "performance")...)
		require.Equal(t, 20, strings.Count(r.out, "\n"))
		require.Empty(t, replay(onLog(from, "--to-file", "-", "--app", "orders", "--kind", "usage")...).out)
		require.Empty(t, replay(onLog(from, "--to-file", "-", "--since", "1m")...).out)
		require.Empty(t, replay(onLog(from, "--to-file", "-", "--until", "2026-01-01")...).out)
		require.Equal(t, 10, strings.Count(replay(onLog(from, "--to-file", "-", "--from-seq", "2")...).out, "\n"))
	})

	t.Run("through a file, with pseudonyms of a given key", func(t *testing.T) {
		file := filepath.Join(dir, "events.ndjson.zst")
		replay(append(onLog(from, "--to-file", file), state("file")...)...)
		one := replay("--file", file, "--to-file", "-", "--pseudonymise", "--pseudonym-key", "k").out
		two := replay("--file", file, "--to-file", "-", "--pseudonymise", "--pseudonym-key", "k").out
		require.Equal(t, one, two)
		require.NotContains(t, one, "@example.com")
		require.Contains(t, one, `"user_id":"user-`)
	})

	t.Run("shifted to a time", func(t *testing.T) {
		r := replay(onLog(from, "--to-file", "-", "--until", installation.Recent().Add(time.Hour).Format(time.RFC3339), "--shift-to", "2026-01-01T00:00:00Z")...)
		require.Contains(t, r.errs, "shifted by")
		require.Contains(t, r.out, `"timestamp":"2025-12-31T`)
	})

	t.Run("an interrupted replay says how to continue", func(t *testing.T) {
		r := run(t, append(onLog(from, "replay", "--to-database", unreachable), state("away")...)...)
		require.Equal(t, 1, r.code)
		require.Contains(t, r.errs, "run the same command again to continue")
		require.NotContains(t, r.errs, "hunter2")
	})
}

func TestTail(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	out, errs, stop := background(t, onLog(s, "tail", "--app", "shop", "--json")...)
	testkit.Eventually(t, "tail to follow the log", func() bool { return strings.Contains(errs.String(), "printing the events") })
	s.Publish(eventtest.Usage("orders", 2, installation.Recent()), eventtest.Usage("shop", 2, installation.Recent()))
	testkit.Eventually(t, "the events of the app", func() bool { return strings.Count(out.String(), "\n") == 2 })
	require.Zero(t, stop(), "an interrupt is its usual end")
	for line := range strings.Lines(out.String()) {
		var event struct{ Kind, App string }
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		require.Equal(t, "shop", event.App)
		require.Equal(t, "usage", event.Kind)
	}
}

func TestDead(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batch := eventtest.Usage("orders", 2, installation.Recent())
	s.Publish(batch)
	bury(t, s, batch, "a", "b", "c")
	dead := func(words ...string) result {
		t.Helper()
		r := run(t, onLog(s, append([]string{"dead"}, words...)...)...)
		require.Zero(t, r.code, r.errs)
		return r
	}
	require.Equal(t, 3, strings.Count(dead("list").out, "no room"))
	require.Equal(t, 3, strings.Count(dead("list", "--json").out, `"letter":`))
	require.Contains(t, dead("show", "2").out, batch.Usage[1].ID.String())
	require.Contains(t, dead("requeue", "--dry-run", "--all").out, "would requeue 1")
	require.Contains(t, dead("drop", "--dry-run", "3").out, "would drop 3")
	require.Contains(t, dead("requeue", "1").out, "requeued 1")
	require.Contains(t, dead("drop", "--all").out, "dropped 3")
	require.NotContains(t, dead("list").out, "no room")
	require.Equal(t, 1, run(t, onLog(s, "dead", "show", "2")...).code, "a dead letter that is gone")
}

func TestForget(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batch := eventtest.Usage("shop", 20, installation.Recent())
	s.Publish(batch)
	s.Write(1)
	user := batch.Usage[0].UserID
	count := func() (n int) {
		conn, err := pgx.Connect(t.Context(), s.DSN)
		require.NoError(t, err)
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM metrics.usage_events WHERE user_id = $1`, user).Scan(&n))
		require.NoError(t, conn.Close(t.Context()))
		return n
	}
	before := count()
	require.Positive(t, before)

	r := run(t, onBoth(s, "forget", "--user", user, "--dry-run")...)
	require.Zero(t, r.code, r.errs)
	var report map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.EqualValues(t, before, report["usage_rows"])
	require.Equal(t, before, count(), "a dry run only counts")

	require.Zero(t, run(t, onBoth(s, "forget", "--user", user, "--yes")...).code)
	require.Zero(t, count())
}

func TestDemo(t *testing.T) {
	t.Parallel()
	dsn := testkit.EmptyDatabase(t)
	r := run(t, "demo", "--database", dsn, "--days", "2", "--requests-per-day", "50", "--seed", "7")
	require.Zero(t, r.code, r.errs)
	require.Regexp(t, `2 days, \d+ requests, \d+ events`, r.out)
	require.Contains(t, r.errs, "day 2 of 2")
	require.Contains(t, run(t, "migrate", "--database", dsn, "version").out, "\n", "it has migrated the schema")
	require.Equal(t, 1, run(t, "demo", "--database", unreachable).code)
}

// bury makes a dead letter of each part of the log's first message.
func bury(t *testing.T, s *installation.Installation, batch *event.Batch, parts ...string) {
	t.Helper()
	r, err := stream.OpenReader(t.Context(), s.JS, stream.DefaultTopology())
	require.NoError(t, err)
	defer r.Close()
	m, err := r.Next()
	require.NoError(t, err)
	grave := stream.Grave{JS: s.JS, CodeVersion: "v9", Now: time.Now}
	for _, part := range parts {
		require.NoError(t, grave.Bury(t.Context(), m, stream.Remains{Event: batch, Part: part, Reason: errors.New("no room")}))
	}
}
