package rawstore_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var at = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)

func setup(t *testing.T) (*pgxpool.Pool, *rawstore.Store) {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Database(t)
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool, rawstore.New(pool, nil)
}

func rowsOf(batches ...*event.Batch) (r rawstore.Rows) {
	for _, b := range batches {
		r.Add(b)
	}
	return r
}

func never(t *testing.T) func(rawstore.Rows, error) {
	return func(_ rawstore.Rows, err error) { require.NoError(t, err) }
}

func TestEveryColumnIsStored(t *testing.T) {
	t.Parallel()
	pool, store := setup(t)
	performance, usage := eventtest.Performance("orders", 3, at), eventtest.Usage("orders", 1, at)
	performance.Performance[0] = event.Performance{
		ID: event.NewID(), Timestamp: at, ReceivedAt: at, App: "orders", Endpoint: "/least", Method: "GET", StatusCode: 200,
	}
	_, err := store.PutAll(t.Context(), rowsOf(performance, usage), never(t))
	require.NoError(t, err)

	t.Run("as it was", func(t *testing.T) {
		want := performance.Performance[2]
		var p event.Performance
		var seq int64
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT id, "timestamp", received_at, app, endpoint, method, status_code,
			response_time_ms, seq, instance, user_id, error_type, app_version, session_id, interaction_id, trace_id, correlation_id
			FROM performance_metrics WHERE id = $1`, want.ID).Scan(&p.ID, &p.Timestamp, &p.ReceivedAt, &p.App, &p.Endpoint, &p.Method,
			&p.StatusCode, &p.ResponseTimeMS, &seq, &p.Instance, &p.UserID, &p.ErrorType, &p.AppVersion, &p.SessionID, &p.InteractionID,
			&p.TraceID, &p.CorrelationID))
		p.Seq, p.Timestamp, p.ReceivedAt = &seq, p.Timestamp.UTC(), p.ReceivedAt.UTC()
		require.Equal(t, want, p)

		u, wanted := event.Usage{}, usage.Usage[0]
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT id, "timestamp", received_at, app, event_type, user_id, success, seq,
			page_name, element_id, app_version, session_id, interaction_id, metadata FROM usage_events`).Scan(&u.ID, &u.Timestamp,
			&u.ReceivedAt, &u.App, &u.EventType, &u.UserID, &u.Success, &seq, &u.PageName, &u.ElementID, &u.AppVersion, &u.SessionID,
			&u.InteractionID, &u.Metadata))
		u.Seq, u.Timestamp, u.ReceivedAt = &seq, u.Timestamp.UTC(), u.ReceivedAt.UTC()
		require.JSONEq(t, string(wanted.Metadata), string(u.Metadata))
		u.Metadata = wanted.Metadata
		require.Equal(t, wanted, u)
	})

	t.Run("and what is not known is null", func(t *testing.T) {
		var unknown int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT num_nulls(seq, instance, user_id, error_type, app_version, session_id,
			interaction_id, trace_id, correlation_id) FROM performance_metrics WHERE endpoint = '/least'`).Scan(&unknown))
		require.Equal(t, 9, unknown)
	})
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	pool, store := setup(t)
	batch := eventtest.Performance("orders", 100, at)
	half := batch.Slice(0, 50)
	out, err := store.PutAll(t.Context(), rowsOf(&half), never(t))
	require.NoError(t, err)
	require.Equal(t, rawstore.Outcome{Stored: 50}, out)

	t.Run("tells new rows from those that were there, in one batch too", func(t *testing.T) {
		out, err := store.PutAll(t.Context(), rowsOf(batch, batch), never(t))
		require.NoError(t, err)
		require.Equal(t, rawstore.Outcome{Stored: 50, Duplicate: 150}, out)
	})

	t.Run("counts what is below the purge line, and stores none of it", func(t *testing.T) {
		_, err := pool.Exec(t.Context(), `UPDATE purge_line SET purged_before = $1`, at.Add(24*time.Hour))
		require.NoError(t, err)
		out, err := store.PutAll(t.Context(), rowsOf(eventtest.Usage("orders", 7, at)), never(t))
		require.NoError(t, err)
		require.Equal(t, rawstore.Outcome{Summarised: 7}, out)
	})
}

func TestRepetitions(t *testing.T) {
	t.Parallel()
	pool, store := setup(t)
	put := func(b *event.Batch) rawstore.Outcome {
		out, err := store.PutAll(t.Context(), rowsOf(b), never(t))
		require.NoError(t, err)
		return out
	}
	first, second, third := eventtest.Performance("orders", 10, at), eventtest.Usage("orders", 10, at), eventtest.Usage("orders", 10, at)
	require.Equal(t, rawstore.Outcome{Stored: 10}, put(first))
	require.False(t, store.Inserts(), "new rows are copied")
	require.Equal(t, rawstore.Outcome{Duplicate: 10}, put(first))
	require.True(t, store.Inserts(), "a row that is there turns to inserts")
	require.Equal(t, rawstore.Outcome{Stored: 10}, put(second))
	require.False(t, store.Inserts(), "a batch without one turns back")
	require.Equal(t, rawstore.Outcome{Stored: 10}, put(third))

	t.Run("in many writers at once store each row once", func(t *testing.T) {
		batches := make([]*event.Batch, 20)
		for i := range batches {
			batches[i] = eventtest.Performance("orders", 50, at.Add(time.Duration(i)*time.Minute))
		}
		var stored atomic.Int64
		var all sync.WaitGroup
		for writer := range 4 {
			all.Go(func() {
				own := rawstore.New(pool, nil)
				for i := range batches {
					out, err := own.PutAll(t.Context(), rowsOf(batches[(i*(writer+1))%len(batches)], batches[i]), never(t))
					assert.NoError(t, err)
					stored.Add(int64(out.Stored))
				}
			})
		}
		all.Wait()
		require.Equal(t, int64(1000), stored.Load(), "each is claimed by one writer")
		var there int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(DISTINCT id) FROM performance_metrics`).Scan(&there))
		require.Equal(t, 1010, there)
	})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	pool, store := setup(t)
	version := func() (v int) {
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT coalesce(max(version), 0) FROM hour_marks WHERE time_bucket = date_trunc('hour', $1::timestamptz, 'UTC')`, at).Scan(&v))
		return v
	}
	batch := eventtest.Performance("orders", 5, at)
	for range 2 {
		_, err := store.PutAll(t.Context(), rowsOf(batch), never(t))
		require.NoError(t, err)
		require.Equal(t, 1, version(), "rows that were there mark nothing")
	}
	_, err := store.PutAll(t.Context(), rowsOf(eventtest.Performance("orders", 5, at)), never(t))
	require.NoError(t, err)
	require.Equal(t, 2, version(), "a mark that is there moves")
}

func TestRefusedRows(t *testing.T) {
	t.Parallel()
	pool, store := setup(t)
	_, err := pool.Exec(t.Context(), `ALTER TABLE usage_events ADD CONSTRAINT no_poison CHECK (page_name <> '/poison')`)
	require.NoError(t, err)
	batch := eventtest.Usage("orders", 33, at)
	batch.Usage[0].PageName, batch.Usage[32].PageName = "/poison", "/poison"
	var refused []event.Usage
	out, err := store.PutAll(t.Context(), rowsOf(batch, eventtest.Performance("orders", 5, at)), func(r rawstore.Rows, reason error) {
		require.ErrorContains(t, reason, "no_poison")
		refused = append(refused, r.Usage...)
	})
	require.NoError(t, err)
	require.Equal(t, 36, out.Stored)
	require.Equal(t, []event.Usage{batch.Usage[0], batch.Usage[32]}, refused)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	batch := eventtest.Performance("orders", 2, at.Add(-50*365*24*time.Hour))
	require.NoError(t, rawstore.Check(batch, 0), "how old it may be was ingest's to say")
	batch.Performance[1].StatusCode = 7
	require.ErrorContains(t, rawstore.Check(batch, 1), "status_code")
}
