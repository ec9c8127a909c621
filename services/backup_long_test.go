//go:build long

package services_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
	"github.com/lakepulse/lakepulse/tools/rebuild"
)

// program finds one of Postgres' client programs, newest first.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	require.NoError(t, err)
	require.NotEmpty(t, found, "this test needs %s", name)
	slices.Sort(found)
	return found[len(found)-1]
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program(t, name), args...) //nolint:gosec // Postgres' own programs
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), out.String())
}

// TestBackupAndRestore does what docs/operations.md says: dump, lose the
// database, restore, let the log fill in what came after the dump.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testkit.NATS(t)
	lost, restored := testkit.Database(t), testkit.EmptyDatabase(t)
	ingest, writer := outside(t, server.URL(), ""), outside(t, server.URL(), lost)
	run(t, services.Ingest, ingest)
	stop := run(t, services.Writer, writer)
	await(t, ingest, "/ready", ready)
	count := func(dsn string) (rows, ids int) {
		conn, err := pgx.Connect(ctx, dsn)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(ctx)) }()
		require.NoError(t, conn.QueryRow(ctx, `SELECT count(*), count(DISTINCT id) FROM metrics.performance_metrics WHERE app = 'shop'`).Scan(&rows, &ids))
		return rows, ids
	}
	stored := func(n int) {
		testkit.Eventually(t, "the rows", func() bool { rows, _ := count(lost); return rows == n })
	}
	send(t, ingest, 100)
	stored(100)
	dump := filepath.Join(t.TempDir(), "lakepulse.dump")
	command(t, "pg_dump", "--format=custom", "--schema=metrics", "--file="+dump, lost)
	info, err := os.Stat(dump)
	require.NoError(t, err)
	require.Positive(t, info.Size())
	send(t, ingest, 70)
	stored(170)
	stop()

	command(t, "pg_restore", "--dbname="+restored, dump)
	rows, _ := count(restored)
	require.Equal(t, 100, rows)

	cfg := postgres.DefaultConfig()
	cfg.URL = restored
	pool, err := postgres.Open(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for range 2 { // again changes nothing
		_, err = rebuild.Run(ctx, js, pool, time.Now, nil)
		require.NoError(t, err)
		rows, ids := count(restored)
		require.Equal(t, []int{170, 170}, []int{rows, ids})
	}
}
