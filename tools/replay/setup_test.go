package replay_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/tools/replay"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// side is a log and a database beside it.
type side struct {
	t    *testing.T
	js   jetstream.JetStream
	pub  *stream.Publisher
	pool *pgxpool.Pool
}

func setup(t *testing.T) *side {
	t.Helper()
	js := connect(t)
	return &side{t: t, js: js, pub: stream.NewPublisher(js), pool: open(t)}
}

func connect(t *testing.T) jetstream.JetStream {
	t.Helper()
	nc, err := stream.Connect(stream.ConnectConfig{URL: testkit.NATS(t).URL(), Name: t.Name()}, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, stream.DefaultTopology().Reconcile(t.Context(), js))
	return js
}

func open(t *testing.T) *pgxpool.Pool {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Database(t)
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (s *side) publish(batches ...*event.Batch) {
	s.t.Helper()
	for _, b := range batches {
		require.NoError(s.t, s.pub.Publish(s.t.Context(), b, ""))
	}
}

// write does what a writer does, with the next n messages.
func (s *side) write(n int) {
	s.t.Helper()
	r, err := stream.OpenReader(s.t.Context(), s.js, stream.DefaultTopology())
	require.NoError(s.t, err)
	defer r.Close()
	store := rawstore.New(s.pool, nil)
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
	s.await(func(p stream.Position) bool { return p.Sequence >= p.LastSequence-p.Waiting })
}

func (s *side) await(ok func(stream.Position) bool) {
	s.t.Helper()
	testkit.Eventually(s.t, "the acks to arrive", func() bool {
		p, err := stream.ReadPosition(s.t.Context(), s.js, time.Now)
		return err == nil && ok(p)
	})
}

func (s *side) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.pool.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

func (s *side) verify(since time.Time) replay.VerifyReport {
	s.t.Helper()
	report, err := replay.Verify(s.t.Context(), replay.VerifyOptions{Log: s.js, Pool: s.pool, Since: since, ShowIDs: 5, Now: time.Now})
	require.NoError(s.t, err)
	return report
}

func (s *side) run(o replay.Options) replay.Report {
	s.t.Helper()
	report, err := replay.Run(s.t.Context(), s.options(o))
	require.NoError(s.t, err)
	return report
}

func (s *side) options(o replay.Options) replay.Options {
	if o.File == "" {
		o.Log = s.js
	}
	o.Now = time.Now
	return o
}

func ids(t *testing.T, pool *pgxpool.Pool) []uuid.UUID {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT id FROM performance_metrics UNION ALL SELECT id FROM usage_events`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	return sorted(list)
}

func sorted(list []uuid.UUID) []uuid.UUID {
	slices.SortFunc(list, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return list
}

func idsOf(batches ...*event.Batch) []uuid.UUID { return sorted(eventtest.IDs(batches...)) }

// recent is a moment in the middle of an hour of the raw window.
func recent() time.Time { return time.Now().UTC().Truncate(time.Hour).Add(-90 * time.Minute) }

// safeBuffer is a buffer that one goroutine writes and another reads.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
