package replay_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/replay"
)

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("a log and its database are equal", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.publish(eventtest.Performance("orders", 30, recent()), eventtest.Usage("shop", 20, recent()))
		again := eventtest.Performance("orders", 10, recent().Add(-time.Hour))
		s.publish(again, again) // a retry: in the log twice, in the database once
		s.write(4)
		report := s.verify(time.Time{})
		require.True(t, report.Equal())
		require.Len(t, report.Buckets, 3)
		first := report.Buckets[0]
		require.Equal(t, replay.Bucket{Hour: recent().Add(-time.Hour).Truncate(time.Hour), App: "orders", Kind: event.KindPerformance}, first.Bucket)
		require.EqualValues(t, 10, first.Log.Count)
		require.Equal(t, first.Log, first.Database)
	})

	t.Run("what is missing is named", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		batch := eventtest.Performance("orders", 30, recent())
		s.publish(batch, eventtest.Usage("orders", 5, recent()))
		s.write(2)
		gone := batch.Performance[7].ID
		s.exec(`DELETE FROM performance_metrics WHERE id = $1`, gone)
		report := s.verify(time.Time{})
		require.False(t, report.Equal())
		c := report.Buckets[0]
		require.Equal(t, []uuid.UUID{gone}, c.Missing)
		require.EqualValues(t, 1, c.MissingAll)
		require.True(t, report.Buckets[1].Equal(), "the other kind is not touched")
		var table bytes.Buffer
		require.NoError(t, report.WriteTable(&table))
		require.Contains(t, table.String(), "DIFFERS")
		require.Contains(t, table.String(), gone.String())
	})

	t.Run("what nobody has published is named", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.publish(eventtest.Usage("orders", 5, recent()))
		s.write(1)
		stranger := event.NewID()
		s.exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id) VALUES ($1, $2, $3, 'orders', 'x', 'u')`,
			stranger, recent(), time.Now().Add(time.Hour))
		report := s.verify(time.Time{})
		require.Equal(t, []uuid.UUID{stranger}, report.Buckets[0].Surplus)
		require.False(t, report.Equal())
	})

	t.Run("one id for another is found at equal counts", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		batch := eventtest.Usage("orders", 5, recent())
		s.publish(batch)
		s.write(1)
		s.exec(`UPDATE usage_events SET id = $1, received_at = now() + interval '1 hour' WHERE id = $2`, event.NewID(), batch.Usage[0].ID)
		c := s.verify(time.Time{}).Buckets[0]
		require.EqualValues(t, 1, c.MissingAll)
		require.EqualValues(t, 1, c.SurplusAll)
	})

	t.Run("what is in flight is not missing, stored or not", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.publish(eventtest.Usage("orders", 5, recent()))
		s.write(1)
		s.publish(eventtest.Usage("orders", 7, recent()))
		report := s.verify(time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 5, report.Buckets[0].Log.Count)
		require.EqualValues(t, 7, report.Buckets[0].InFlight)
		r, err := stream.OpenReader(t.Context(), s.js, stream.DefaultTopology())
		require.NoError(t, err)
		defer r.Close()
		_, err = replay.Rebuild(t.Context(), s.js, s.pool, time.Now, nil) // stored and not acknowledged
		require.NoError(t, err)
		report = s.verify(time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 12, report.Buckets[0].Database.Count)
	})

	t.Run("what is dead is not missing", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		batch := eventtest.Usage("orders", 5, recent())
		s.publish(batch)
		r, err := stream.OpenReader(t.Context(), s.js, stream.DefaultTopology())
		require.NoError(t, err)
		defer r.Close()
		m, err := r.Next()
		require.NoError(t, err)
		grave := stream.Grave{JS: s.js, CodeVersion: "test", Now: time.Now}
		require.NoError(t, grave.Bury(t.Context(), m, stream.Remains{Event: batch, Part: "x", Reason: errors.New("refused")}))
		require.NoError(t, m.Ack())
		s.await(func(p stream.Position) bool { return p.Waiting == 0 })
		report := s.verify(time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 5, report.Buckets[0].Dead)
	})

	t.Run("what is below the purge line is summarised", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.exec(`UPDATE purge_line SET purged_before = $1`, recent().Truncate(time.Hour))
		s.publish(eventtest.Usage("orders", 5, recent().Add(-time.Hour)), eventtest.Usage("orders", 3, recent()))
		s.write(2)
		report := s.verify(time.Time{})
		require.True(t, report.Equal())
		require.Len(t, report.Buckets, 1)
		require.EqualValues(t, 5, report.Summarised)
	})

	t.Run("rows from before the log are told apart", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.publish(eventtest.Performance("orders", 4, recent()))
		s.write(1)
		s.exec(`INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms)
			SELECT gen_random_uuid(), $1, $2, 'orders', '/', 'GET', 200, 1 FROM generate_series(1, 9)`, recent(), time.Now().Add(-time.Hour))
		report := s.verify(time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 9, report.Buckets[0].Older)
	})

	t.Run("since leaves out earlier hours", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.publish(eventtest.Usage("orders", 5, recent().Add(-time.Hour)), eventtest.Usage("orders", 3, recent()))
		s.write(2)
		report := s.verify(recent())
		require.True(t, report.Equal())
		require.Len(t, report.Buckets, 1)
		require.EqualValues(t, 3, report.Buckets[0].Database.Count)
	})
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	s := setup(t)
	performance, usage := eventtest.Performance("orders", 300, recent()), eventtest.Usage("shop", 200, recent())
	s.publish(performance, usage)
	s.write(2)

	t.Run("of what is all there changes nothing", func(t *testing.T) {
		report, err := replay.Rebuild(t.Context(), s.js, s.pool, time.Now, nil)
		require.NoError(t, err)
		require.EqualValues(t, 500, report.Duplicate)
		require.Zero(t, report.Stored)
		require.False(t, report.Reach.IsZero(), "it says how far the log reaches")
	})

	t.Run("after a truncation everything is there again", func(t *testing.T) {
		s.exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id) VALUES (gen_random_uuid(), $1, $1, 'old', 'x', 'u')`, recent())
		plan, err := replay.PlanRebuild(t.Context(), s.js, s.pool)
		require.NoError(t, err)
		require.EqualValues(t, 501, plan.Rows)
		require.NoError(t, replay.Truncate(t.Context(), s.pool))
		require.Empty(t, ids(t, s.pool))
		report, err := replay.Rebuild(t.Context(), s.js, s.pool, time.Now, nil)
		require.NoError(t, err)
		require.EqualValues(t, 500, report.Stored)
		require.Equal(t, idsOf(performance, usage), ids(t, s.pool))
	})

	t.Run("nothing is stored below the purge line", func(t *testing.T) {
		s.exec(`UPDATE purge_line SET purged_before = now()`)
		require.NoError(t, replay.Truncate(t.Context(), s.pool))
		report, err := replay.Rebuild(t.Context(), s.js, s.pool, time.Now, nil)
		require.NoError(t, err)
		require.EqualValues(t, 500, report.Summarised)
		require.Empty(t, ids(t, s.pool))
	})
}
