package writer_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/writer"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bundle is a log and a database, and what a test does with them.
type bundle struct {
	t    *testing.T
	dsn  string // of the database
	url  string // of the log
	js   jetstream.JetStream
	pool *pgxpool.Pool // the test's own
	pub  *stream.Publisher
	cfg  writer.Config
}

func setup(t *testing.T) *bundle {
	t.Helper()
	server := testkit.NATS(t)
	b := &bundle{t: t, dsn: testkit.Database(t), url: server.URL(), cfg: writer.DefaultConfig()}
	b.cfg.Topology.AckWait = time.Second
	b.cfg.PositionEvery, b.cfg.StatusEvery, b.cfg.ProbeEvery = 20*time.Millisecond, 50*time.Millisecond, 10*time.Millisecond
	b.cfg.Waits = []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}
	b.js = b.connect(b.url)
	require.NoError(t, b.cfg.Topology.Reconcile(t.Context(), b.js))
	b.pool = b.open(b.dsn)
	b.pub = stream.NewPublisher(b.js)
	return b
}

func (b *bundle) connect(url string) jetstream.JetStream {
	b.t.Helper()
	nc, err := stream.Connect(stream.ConnectConfig{URL: url, Name: b.t.Name()}, testkit.Logger(b.t))
	require.NoError(b.t, err)
	b.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(b.t, err)
	return js
}

func (b *bundle) open(dsn string) *pgxpool.Pool {
	b.t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = dsn
	pool, err := postgres.Open(b.t.Context(), cfg)
	require.NoError(b.t, err)
	b.t.Cleanup(pool.Close)
	return pool
}

// running is a writer with connections of its own, so that they can be broken
// without breaking the test's.
type running struct {
	*writer.Writer
	nc   *nats.Conn
	pool *pgxpool.Pool
}

type startParams struct {
	url, dsn string // by way of a proxy, say; "" for the direct ones
	hooks    writer.Hooks
	name     string
}

func (b *bundle) start(p startParams) running {
	b.t.Helper()
	if p.url == "" {
		p.url = b.url
	}
	if p.dsn == "" {
		p.dsn = b.dsn
	}
	js := b.connect(p.url)
	pool := b.open(p.dsn)
	cfg := b.cfg
	cfg.Instance = "writer-" + p.name
	w, err := writer.New(writer.Params{
		Config: cfg, JS: js, Pool: pool, Now: time.Now, Log: testkit.Logger(b.t).With("writer", p.name),
		CodeVersion: "test", Hooks: p.hooks,
	})
	require.NoError(b.t, err)
	w.Start()
	r := running{Writer: w, nc: js.Conn(), pool: pool}
	b.t.Cleanup(func() { r.kill() })
	return r
}

// kill ends a writer without letting it finish anything. More calls do nothing.
func (r running) kill() {
	r.nc.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer func() { _ = recover() }() // stopped before
	_ = r.Stop(ctx)                  // that it was not done is what the test wants
}

func (b *bundle) publish(batches ...*event.Batch) {
	b.t.Helper()
	for _, batch := range batches {
		require.NoError(b.t, b.pub.Publish(b.t.Context(), batch, "correlation-1"))
	}
}

// stored returns the ids of all rows, an id for each time it is there.
func (b *bundle) stored() []uuid.UUID {
	b.t.Helper()
	rows, err := b.pool.Query(b.t.Context(), `SELECT id FROM performance_metrics UNION ALL SELECT id FROM usage_events`)
	require.NoError(b.t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(b.t, err)
	return sorted(ids)
}

func sorted(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// requireStored waits until all messages are acknowledged, then compares: each
// event once, and no other.
func (b *bundle) requireStored(batches ...*event.Batch) {
	b.t.Helper()
	b.awaitAcks()
	require.Equal(b.t, sorted(eventtest.IDs(batches...)), b.stored())
}

func (b *bundle) awaitAcks() {
	b.t.Helper()
	testkit.Eventually(b.t, "every message to be acknowledged", func() bool {
		p, err := stream.ReadPosition(b.t.Context(), b.js, time.Now)
		return err == nil && p.Waiting == 0
	})
}

// awaitDelivery waits until some writer has every message in its hands.
func (b *bundle) awaitDelivery() {
	b.t.Helper()
	testkit.Eventually(b.t, "every message to be delivered", func() bool {
		cons, err := b.js.Consumer(b.t.Context(), stream.Name, stream.Consumer)
		return err == nil && cons.CachedInfo().NumPending == 0 && cons.CachedInfo().NumAckPending > 0
	})
}

func (b *bundle) dead() []*stream.DeadLetter {
	b.t.Helper()
	list, err := stream.ListDead(b.t.Context(), b.js, 1, 1000)
	require.NoError(b.t, err)
	return list
}

func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.pool.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

// first returns a function that runs f the first time it is called.
func first(f func()) func() {
	done := make(chan struct{}, 1)
	done <- struct{}{}
	return func() {
		select {
		case <-done:
			f()
		default:
		}
	}
}

func recent() time.Time { return time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond) }
