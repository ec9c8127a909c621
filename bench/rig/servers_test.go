package rig

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestPostgres(t *testing.T) {
	pg, err := StartPostgres(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	closed := false
	t.Cleanup(func() {
		if !closed {
			require.NoError(t, pg.Close(context.WithoutCancel(t.Context())))
		}
	})
	dsn, pool, err := pg.Migrated(t.Context(), "some")
	require.NoError(t, err)

	t.Run("is durable: a bar reached without fsync would be worth nothing", func(t *testing.T) {
		for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			var value string
			require.NoError(t, pool.QueryRow(t.Context(), "SHOW "+setting).Scan(&value))
			require.Equal(t, "on", value, setting)
		}
	})
	t.Run("has the product's schema", func(t *testing.T) {
		var n int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM performance_metrics`).Scan(&n))
		require.Zero(t, n)
	})
	t.Run("counts what its backends use", func(t *testing.T) {
		before, err := pg.Usage()
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), `SELECT count(*) FROM generate_series(1, 2000000)`)
		require.NoError(t, err)
		after, err := pg.Usage()
		require.NoError(t, err)
		require.Greater(t, after.CPU, before.CPU)
	})
	t.Run("says which version it is", func(t *testing.T) {
		version, err := pg.Version(t.Context())
		require.NoError(t, err)
		require.Regexp(t, `^\d+\.\d+`, version)
	})
	t.Run("is busy while somebody's statement runs, and not while they only hold a connection", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), dsn)
		require.NoError(t, err)
		busy := func() bool {
			busy, err := pg.Busy(t.Context())
			require.NoError(t, err)
			return busy
		}
		require.Eventually(t, func() bool { return !busy() }, time.Minute, 10*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, `SELECT pg_sleep(60)`)
			ended <- err
		}()
		require.Eventually(t, busy, time.Minute, 10*time.Millisecond)
		cancel()
		require.Error(t, <-ended)
	})
	t.Run("a dropped database is gone, whoever was connected", func(t *testing.T) {
		require.NoError(t, pg.Drop(t.Context(), "some"))
		pool.Close()
		_, err := pgx.Connect(t.Context(), dsn)
		require.ErrorContains(t, err, `database "some" does not exist`)
	})
	t.Run("closed, its process is gone", func(t *testing.T) {
		closed = true
		require.NoError(t, pg.Close(t.Context()))
		_, err := pg.Usage()
		require.Error(t, err)
	})
}

func TestNATS(t *testing.T) {
	for name, relaxed := range map[string]bool{"with an fsync before each answer": false, "relaxed": true} {
		t.Run(name, func(t *testing.T) {
			server, err := StartNATS(t.Context(), t.TempDir(), "log", relaxed)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, server.Stop()) })
			nc, err := nats.Connect(server.URL)
			require.NoError(t, err)
			t.Cleanup(nc.Close)
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage})
			require.NoError(t, err)
			ack, err := js.Publish(t.Context(), "s", []byte("x"))
			require.NoError(t, err)
			require.Equal(t, uint64(1), ack.Sequence)

			used, err := Tree(server.PID())
			require.NoError(t, err)
			require.Positive(t, used.RSS)
			require.NoError(t, server.Stop())
			_, err = nats.Connect(server.URL)
			require.ErrorIs(t, err, nats.ErrNoServers)
		})
	}
}
