package writer_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestDatabaseGoneForAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Waits = []time.Duration{time.Millisecond, time.Millisecond, time.Hour} // only a probe ends the last one
	proxy, dsn := testkit.ProxyURL(t, b.dsn)
	w := b.start(startParams{name: "one", dsn: dsn})
	before := eventtest.Performance("orders", 50, recent())
	b.publish(before)
	b.requireStored(before)

	proxy.Cut()
	during := eventtest.Usage("orders", 50, recent())
	b.publish(during)
	testkit.Eventually(t, "the writer to say why it is not ready", func() bool { return w.Trouble() != nil })
	require.ErrorContains(t, w.Trouble(), "the database does not store")
	later := eventtest.Performance("orders", 50, recent())
	b.publish(later)
	require.Empty(t, b.dead(), "an outage is not the messages' fault")
	p, err := stream.ReadPosition(t.Context(), b.js, time.Now)
	require.NoError(t, err)
	require.EqualValues(t, 2, p.Waiting)

	proxy.Heal()
	b.requireStored(before, during, later)
	require.NoError(t, w.Trouble())
	require.Empty(t, b.dead())
}

func TestConnectionsTerminated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := startParams{name: "one", dsn: b.dsn + "&application_name=victim"}
	p.hooks.AfterInsert = first(func() {
		b.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'`)
	})
	b.start(p)
	batch := eventtest.Performance("orders", 50, recent())
	b.publish(batch)
	b.requireStored(batch)
	require.Empty(t, b.dead())
}

func TestPoolExhausted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.PositionEvery, b.cfg.StatusEvery = time.Hour, time.Hour // they would queue for a connection as well
	w := b.start(startParams{name: "one"})
	taken := w.pool.AcquireAllIdle(t.Context())
	for len(taken) < int(w.pool.Config().MaxConns) {
		c, err := w.pool.Acquire(t.Context())
		require.NoError(t, err)
		taken = append(taken, c)
	}
	batch := eventtest.Performance("orders", 50, recent())
	b.publish(batch)
	b.awaitDelivery()
	require.NoError(t, w.Trouble(), "it blocks and waits, that is no outage")
	for _, c := range taken {
		c.Release()
	}
	b.requireStored(batch)
	require.NoError(t, w.Trouble())
	require.Empty(t, b.dead())
}

func TestLogGoneAndBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	proxy, url := testkit.ProxyURL(t, b.url)
	b.start(startParams{name: "one", url: url})
	batches := eventtest.Performance("orders", 20, recent())
	b.publish(batches)
	b.requireStored(batches)
	proxy.Cut()
	more := eventtest.Performance("orders", 20, recent())
	b.publish(more)
	proxy.Heal()
	b.requireStored(batches, more)
}

func TestMissingPartitionIsMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(startParams{name: "one"})
	old := eventtest.Performance("orders", 3, recent().Add(-400*24*time.Hour))
	b.publish(old)
	b.requireStored(old)
}

func TestBelowThePurgeLineNothingIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	line := recent().Truncate(time.Hour)
	b.exec(`UPDATE purge_line SET purged_before = $1`, line)
	b.start(startParams{name: "one"})
	below, above := eventtest.Usage("orders", 10, line.Add(-time.Second)), eventtest.Usage("orders", 10, line)
	b.publish(below, above)
	b.requireStored(above)
	testkit.Eventually(t, "the ledger to count them as summarised", func() bool {
		var n int
		err := b.pool.QueryRow(t.Context(), `SELECT coalesce(sum(events), 0) FROM event_ledger WHERE outcome = 'summarised'`).Scan(&n)
		return err == nil && n == 10
	})
}

func TestPositionFollowsTheAcks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.start(startParams{name: "one"})
	b.publish(eventtest.Usage("orders", 3, recent()), eventtest.Usage("orders", 3, recent()))
	b.awaitAcks()
	require.NoError(t, w.Stop(t.Context()))
	var sequence int64
	var through time.Time
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT sequence, stored_through FROM stream_positions WHERE stream = 'METRICS'`).
		Scan(&sequence, &through))
	require.EqualValues(t, 2, sequence)
	require.WithinDuration(t, time.Now(), through, time.Minute)
}
