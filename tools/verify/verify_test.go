package verify_test

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
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/installation"
	"github.com/lakepulse/lakepulse/tools/rebuild"
	"github.com/lakepulse/lakepulse/tools/verify"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func run(t *testing.T, s *installation.Installation, since time.Time) verify.Report {
	t.Helper()
	report, err := verify.Run(t.Context(), verify.Options{Log: s.JS, Pool: s.Pool, Since: since, ShowIDs: 5, Clock: time.Now})
	require.NoError(t, err)
	return report
}

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("a log and its database are equal", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Publish(eventtest.Performance("orders", 30, installation.Recent()), eventtest.Usage("shop", 20, installation.Recent()))
		again := eventtest.Performance("orders", 10, installation.Recent().Add(-time.Hour))
		s.Publish(again, again) // a retry: in the log twice, in the database once
		s.Write(4)
		report := run(t, s, time.Time{})
		require.True(t, report.Equal())
		require.Len(t, report.Buckets, 3)
		first := report.Buckets[0]
		require.Equal(t, verify.Bucket{Hour: installation.Recent().Add(-time.Hour).Truncate(time.Hour), App: "orders", Kind: event.KindPerformance}, first.Bucket)
		require.EqualValues(t, 10, first.Log.Count)
		require.Equal(t, first.Log, first.Database)
	})

	t.Run("what is missing is named", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		batch := eventtest.Performance("orders", 30, installation.Recent())
		s.Publish(batch, eventtest.Usage("orders", 5, installation.Recent()))
		s.Write(2)
		gone := batch.Performance[7].ID
		s.Exec(`DELETE FROM performance_metrics WHERE id = $1`, gone)
		report := run(t, s, time.Time{})
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
		s := installation.Start(t)
		s.Publish(eventtest.Usage("orders", 5, installation.Recent()))
		s.Write(1)
		stranger := event.NewID()
		s.Exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id) VALUES ($1, $2, $3, 'orders', 'x', 'u')`,
			stranger, installation.Recent(), time.Now().Add(time.Hour))
		report := run(t, s, time.Time{})
		require.Equal(t, []uuid.UUID{stranger}, report.Buckets[0].Surplus)
		require.False(t, report.Equal())
	})

	t.Run("one id for another is found at equal counts", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		batch := eventtest.Usage("orders", 5, installation.Recent())
		s.Publish(batch)
		s.Write(1)
		s.Exec(`UPDATE usage_events SET id = $1, received_at = now() + interval '1 hour' WHERE id = $2`, event.NewID(), batch.Usage[0].ID)
		c := run(t, s, time.Time{}).Buckets[0]
		require.EqualValues(t, 1, c.MissingAll)
		require.EqualValues(t, 1, c.SurplusAll)
	})

	t.Run("what is in flight is not missing, stored or not", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Publish(eventtest.Usage("orders", 5, installation.Recent()))
		s.Write(1)
		s.Publish(eventtest.Usage("orders", 7, installation.Recent()))
		report := run(t, s, time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 5, report.Buckets[0].Log.Count)
		require.EqualValues(t, 7, report.Buckets[0].InFlight)
		r, err := stream.OpenReader(t.Context(), s.JS, stream.DefaultTopology())
		require.NoError(t, err)
		defer r.Close()
		_, err = rebuild.Run(t.Context(), s.JS, s.Pool, time.Now, nil) // stored and not acknowledged
		require.NoError(t, err)
		report = run(t, s, time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 12, report.Buckets[0].Database.Count)
	})

	t.Run("what is dead is not missing", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		batch := eventtest.Usage("orders", 5, installation.Recent())
		s.Publish(batch)
		r, err := stream.OpenReader(t.Context(), s.JS, stream.DefaultTopology())
		require.NoError(t, err)
		defer r.Close()
		m, err := r.Next()
		require.NoError(t, err)
		grave := stream.Grave{JS: s.JS, CodeVersion: "test", Now: time.Now}
		require.NoError(t, grave.Bury(t.Context(), m, stream.Remains{Event: batch, Part: "x", Reason: errors.New("refused")}))
		require.NoError(t, m.Ack())
		s.AwaitPosition(func(p stream.Position) bool { return p.Waiting == 0 })
		report := run(t, s, time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 5, report.Buckets[0].Dead)
	})

	t.Run("what is below the purge line is summarised", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Exec(`UPDATE purge_line SET purged_before = $1`, installation.Recent().Truncate(time.Hour))
		s.Publish(eventtest.Usage("orders", 5, installation.Recent().Add(-time.Hour)), eventtest.Usage("orders", 3, installation.Recent()))
		s.Write(2)
		report := run(t, s, time.Time{})
		require.True(t, report.Equal())
		require.Len(t, report.Buckets, 1)
		require.EqualValues(t, 5, report.Summarised)
	})

	t.Run("rows from before the log are told apart", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Publish(eventtest.Performance("orders", 4, installation.Recent()))
		s.Write(1)
		s.Exec(`INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms)
			SELECT gen_random_uuid(), $1, $2, 'orders', '/', 'GET', 200, 1 FROM generate_series(1, 9)`, installation.Recent(), time.Now().Add(-time.Hour))
		report := run(t, s, time.Time{})
		require.True(t, report.Equal())
		require.EqualValues(t, 9, report.Buckets[0].Older)
	})

	t.Run("since leaves out earlier hours", func(t *testing.T) {
		t.Parallel()
		s := installation.Start(t)
		s.Publish(eventtest.Usage("orders", 5, installation.Recent().Add(-time.Hour)), eventtest.Usage("orders", 3, installation.Recent()))
		s.Write(2)
		report := run(t, s, installation.Recent())
		require.True(t, report.Equal())
		require.Len(t, report.Buckets, 1)
		require.EqualValues(t, 3, report.Buckets[0].Database.Count)
	})
}
