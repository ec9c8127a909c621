package writer_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// The windows in which a writer can die or lose somebody. After each of them
// every event is stored, once.

func TestKilledBetweenCommitAndAck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := eventtest.Performance("orders", 50, recent())
	killed := make(chan struct{})
	var victim running
	ready := make(chan struct{})
	hook := first(func() { <-ready; victim.nc.Close(); close(killed) })
	p := startParams{name: "victim"}
	p.hooks.AfterCommit = hook
	victim = b.start(p)
	close(ready)
	b.publish(batch)
	testkit.Receive(t, "the writer to lose the log after its commit", killed)
	require.Len(t, b.stored(), 50, "the rows are committed")
	position, err := stream.ReadPosition(t.Context(), b.js, time.Now)
	require.NoError(t, err)
	require.EqualValues(t, 1, position.Waiting, "and nothing is acknowledged")
	b.start(startParams{name: "successor"})
	b.requireStored(batch)
}

func TestKilledBetweenInsertAndCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := eventtest.Usage("orders", 50, recent())
	killed := make(chan struct{})
	var victim running
	ready := make(chan struct{})
	p := startParams{name: "victim", dsn: b.dsn + "&application_name=victim"}
	p.hooks.AfterInsert = first(func() {
		<-ready
		victim.nc.Close()
		b.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'`)
		close(killed)
	})
	victim = b.start(p)
	close(ready)
	b.publish(batch)
	testkit.Receive(t, "the writer to die before its commit", killed)
	victim.kill()
	require.Empty(t, b.stored(), "what was inserted is gone")
	b.start(startParams{name: "successor"})
	b.requireStored(batch)
}

func TestRedeliveredAfterAckWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := eventtest.Performance("orders", 50, recent())
	b.publish(batch)
	dying := b.connect(b.url)
	r, err := stream.OpenReader(t.Context(), dying, b.cfg.Topology)
	require.NoError(t, err)
	m, err := r.Next()
	require.NoError(t, err)
	require.EqualValues(t, 1, m.Delivered)
	t.Cleanup(r.Close)
	dying.Conn().Close() // with the message in its hands
	b.start(startParams{name: "successor"})
	b.requireStored(batch)
	cons, err := b.js.Consumer(t.Context(), stream.Name, stream.Consumer)
	require.NoError(t, err)
	require.EqualValues(t, 0, cons.CachedInfo().NumRedelivered, "nothing is left to deliver again")
	require.EqualValues(t, 2, cons.CachedInfo().Delivered.Consumer, "it was delivered twice")
}

func TestAckLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	proxy, url := testkit.ProxyURL(t, b.url)
	batch := eventtest.Performance("orders", 50, recent())
	lost := make(chan struct{})
	p := startParams{name: "cut off", url: url}
	p.hooks.AfterCommit = first(func() { proxy.Cut(); close(lost) })
	b.start(p)
	b.publish(batch)
	testkit.Receive(t, "the network to be cut before the ack", lost)
	require.Len(t, b.stored(), 50)
	proxy.Heal()
	b.requireStored(batch)
}

func TestTwoWritersHoldTheSameMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	proxy, url := testkit.ProxyURL(t, b.url)
	batch := eventtest.Performance("orders", 50, recent())
	inserted, release, second := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := startParams{name: "slow", url: url}
	p.hooks.AfterInsert = first(func() { proxy.Stall(); close(inserted); <-release })
	b.start(p)
	b.publish(batch)
	testkit.Receive(t, "the first writer to hold uncommitted rows", inserted)
	q := startParams{name: "quick"}
	q.hooks.AfterCommit = first(func() { close(second) })
	b.start(q)
	// The slow one cannot say that it is still at work, so the message comes to
	// the quick one, which meets the slow one's keys and waits for its end.
	testkit.Eventually(t, "the second writer to wait for the first one's transaction", func() bool {
		var n int
		err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'transactionid'`).Scan(&n)
		return err == nil && n > 0
	})
	close(release)
	testkit.Receive(t, "the second writer to commit", second)
	proxy.Heal()
	b.requireStored(batch)
}

func TestHeldMessageIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	batch := eventtest.Performance("orders", 5, recent())
	inserted, release := make(chan struct{}), make(chan struct{})
	p := startParams{name: "slow"}
	p.hooks.AfterInsert = first(func() { close(inserted); <-release })
	b.start(p)
	b.publish(batch)
	testkit.Receive(t, "the writer to be at work", inserted)
	// A message of another subject that nobody acknowledges comes again after its
	// ack wait: by then the held one would have come as well.
	other, err := b.js.CreateConsumer(t.Context(), stream.Name, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 2 * b.cfg.Topology.AckWait,
	})
	require.NoError(t, err)
	for range 2 {
		msg, err := other.Next(jetstream.FetchMaxWait(time.Minute))
		require.NoError(t, err)
		require.NotNil(t, msg)
	}
	close(release)
	b.requireStored(batch)
	cons, err := b.js.Consumer(t.Context(), stream.Name, stream.Consumer)
	require.NoError(t, err)
	require.EqualValues(t, 1, cons.CachedInfo().Delivered.Consumer)
}

func TestStopGivesBackWhatItDidNotStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Topology.AckWait = time.Hour // only what is given back comes in time
	proxy, dsn := testkit.ProxyURL(t, b.dsn)
	proxy.Cut()
	w := b.start(startParams{name: "unlucky", dsn: dsn})
	batch := eventtest.Performance("orders", 50, recent())
	b.publish(batch)
	testkit.Eventually(t, "the writer to be in trouble", func() bool { return w.Trouble() != nil })
	_ = w.Stop(t.Context()) // it says that it could not write its position
	b.start(startParams{name: "successor"})
	b.requireStored(batch)
}

func TestStoredOnceWhateverIsRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	performance, usage := eventtest.Performance("orders", 300, recent()), eventtest.Usage("orders", 300, recent())
	b.start(startParams{name: "one"})
	b.start(startParams{name: "two"})
	head := performance.Slice(0, 100)
	tail := performance.Slice(200, 300)
	b.publish(performance, usage, &head, usage, performance, &tail)
	b.requireStored(performance, usage)
	t.Run("and each hour that got rows is marked", func(t *testing.T) {
		rows, err := b.pool.Query(t.Context(), `SELECT metric_type FROM hour_marks ORDER BY 1`)
		require.NoError(t, err)
		kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Equal(t, []string{"performance", "usage"}, kinds)
	})
}
