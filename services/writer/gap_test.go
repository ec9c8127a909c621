package writer_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// The database goes back in time: a standby that lacked the last seconds was made
// the primary, a backup was restored, a directory was lost. Everything accepted is
// stored again by itself, once.

// recorded waits until the database's position is at least a sequence.
func (b *bundle) recorded(sequence uint64) metricsdb.Position {
	b.t.Helper()
	var p metricsdb.Position
	testkit.Eventually(b.t, "the position to be written", func() bool {
		var found bool
		var err error
		p, found, err = metricsdb.ReadPosition(b.t.Context(), b.pool, stream.Name)
		return err == nil && found && p.Sequence >= sequence
	})
	return p
}

func (b *bundle) awaitRows(want []uuid.UUID) {
	b.t.Helper()
	testkit.Eventually(b.t, "every row to be back", func() bool { return len(b.stored()) >= len(want) })
	require.Equal(b.t, sorted(want), b.stored())
}

func TestDatabaseGoesBackInTime(t *testing.T) {
	t.Parallel()
	// goBack takes the database back to a position, as if what came later had never been there.
	goBack := func(b *bundle, to metricsdb.Position, kept []uuid.UUID) {
		b.exec(`WITH position AS (UPDATE stream_positions SET sequence = $1, stored_through = $2), p AS (DELETE FROM performance_metrics WHERE NOT id = ANY($3))
			DELETE FROM usage_events WHERE NOT id = ANY($3)`, int64(to.Sequence), to.StoredThrough, kept)
	}

	t.Run("under a writer that works", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.start(startParams{name: "one"})
		b.start(startParams{name: "two"})
		before, lost := eventtest.Performance("orders", 40, recent()), eventtest.Usage("orders", 60, recent())
		b.publish(before)
		b.requireStored(before)
		then := b.recorded(1)
		b.publish(lost)
		b.requireStored(before, lost)
		b.recorded(2)

		goBack(b, then, eventtest.IDs(before))
		b.awaitRows(eventtest.IDs(before, lost))
		b.recorded(2)
		after := eventtest.Performance("orders", 10, recent())
		b.publish(after)
		b.requireStored(before, lost, after)
	})

	t.Run("while no writer is there", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.start(startParams{name: "first"})
		before, lost := eventtest.Performance("orders", 40, recent()), eventtest.Performance("billing", 60, recent())
		b.publish(before)
		b.requireStored(before)
		then := b.recorded(1)
		b.publish(lost)
		b.requireStored(before, lost)
		b.recorded(2)
		first.kill()
		goBack(b, then, eventtest.IDs(before))
		b.start(startParams{name: "second"})
		b.awaitRows(eventtest.IDs(before, lost))
	})

	t.Run("to nothing: its directory was lost", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.start(startParams{name: "one"})
		batches := eventtest.Performance("orders", 100, recent())
		b.publish(batches)
		b.requireStored(batches)
		b.recorded(1)
		b.exec(`TRUNCATE performance_metrics, usage_events, stream_positions, hour_marks`)
		b.awaitRows(eventtest.IDs(batches))
		var marks int
		require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM hour_marks`).Scan(&marks))
		require.Positive(t, marks, "the aggregator hears of it")
	})

	t.Run("the position stays back until the rows are there, and the writer says so", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.start(startParams{name: "one"})
		before, lost := eventtest.Performance("orders", 4, recent()), eventtest.Performance("orders", 6, recent())
		b.publish(before)
		b.requireStored(before)
		then := b.recorded(1)
		b.publish(lost)
		b.requireStored(before, lost)
		b.recorded(2)
		held, err := b.pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = held.Exec(t.Context(), `LOCK TABLE purge_gate IN EXCLUSIVE MODE`) // nothing can be stored
		require.NoError(t, err)
		goBack(b, then, eventtest.IDs(before))
		testkit.Eventually(t, "the gap to be told", func() bool {
			s, err := metricsdb.ReadPipelineStatus(t.Context(), b.pool)
			return err == nil && len(s.Writers) == 1 && s.Writers[0].GapMessages > 0
		})
		p, _, err := metricsdb.ReadPosition(t.Context(), b.pool, stream.Name)
		require.NoError(t, err)
		require.Equal(t, then.Sequence, p.Sequence)
		require.WithinDuration(t, then.StoredThrough, p.StoredThrough, time.Microsecond)
		require.NoError(t, held.Rollback(t.Context()))
		b.awaitRows(eventtest.IDs(before, lost))
		b.recorded(2)
		testkit.Eventually(t, "the gap to be closed", func() bool {
			s, err := metricsdb.ReadPipelineStatus(t.Context(), b.pool)
			return err == nil && s.Writers[0].GapMessages == 0
		})
	})
}
