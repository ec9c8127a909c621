// Package installation gives tests a log and a database beside it, as the tools see
// them, with the steps of a publisher and of a writer.
package installation

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// Installation is a log with its streams and a migrated database, both this test's own.
type Installation struct {
	t    *testing.T
	NATS *embedded.NATS
	JS   jetstream.JetStream
	Pub  *stream.Publisher
	DSN  string
	Pool *pgxpool.Pool
}

// Start starts a NATS server with the default topology and makes a database.
func Start(t *testing.T) *Installation {
	t.Helper()
	s := &Installation{t: t, NATS: testkit.NATS(t), DSN: testkit.Database(t)}
	s.JS = connect(t, s.NATS.URL())
	s.Pub = stream.NewPublisher(s.JS)
	s.Pool = open(t, s.DSN)
	return s
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := stream.Connect(stream.ConnectConfig{URL: url, Name: t.Name()}, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, stream.DefaultTopology().Reconcile(t.Context(), js))
	return js
}

func open(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = dsn
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// Publish publishes batches, one message each.
func (s *Installation) Publish(batches ...*event.Batch) {
	s.t.Helper()
	for _, b := range batches {
		require.NoError(s.t, s.Pub.Publish(s.t.Context(), b, ""))
	}
}

// Write stores the next n messages and acknowledges them, as a writer does.
func (s *Installation) Write(n int) {
	s.t.Helper()
	r, err := stream.OpenReader(s.t.Context(), s.JS, stream.DefaultTopology())
	require.NoError(s.t, err)
	defer r.Close()
	store := rawstore.New(s.Pool, nil)
	for range n {
		m, err := r.Next()
		require.NoError(s.t, err)
		var rows rawstore.Rows
		if b, err := m.Decode(); err == nil {
			rows.Add(b)
		}
		_, err = store.PutAll(s.t.Context(), rows, func(rawstore.Rows, error) {})
		require.NoError(s.t, err)
		require.NoError(s.t, m.Ack())
	}
	s.AwaitPosition(func(p stream.Position) bool { return p.Sequence >= p.LastSequence-p.Waiting })
}

// AwaitPosition waits until the writers' position satisfies ok: acknowledgements arrive
// later than the call that sends them.
func (s *Installation) AwaitPosition(ok func(stream.Position) bool) {
	s.t.Helper()
	testkit.Eventually(s.t, "the acks to arrive", func() bool {
		p, err := stream.ReadPosition(s.t.Context(), s.JS, time.Now)
		return err == nil && ok(p)
	})
}

// Exec runs a statement in the database.
func (s *Installation) Exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.Pool.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

// IDs returns the ids of all raw rows, sorted.
func (s *Installation) IDs() []uuid.UUID {
	s.t.Helper()
	rows, err := s.Pool.Query(s.t.Context(), `SELECT id FROM performance_metrics UNION ALL SELECT id FROM usage_events`)
	require.NoError(s.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(s.t, err)
	return sorted(list)
}

func sorted(list []uuid.UUID) []uuid.UUID {
	slices.SortFunc(list, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return list
}

// IDsOf returns the ids of batches, sorted.
func IDsOf(batches ...*event.Batch) []uuid.UUID { return sorted(eventtest.IDs(batches...)) }

// Recent returns a time in the middle of an hour of the raw window.
func Recent() time.Time { return time.Now().UTC().Truncate(time.Hour).Add(-90 * time.Minute) }
