package aggregate_test

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// storedThrough says that everything published up to a time is stored.
func (w *world) storedThrough(at time.Time) {
	w.t.Helper()
	w.exec(`INSERT INTO stream_positions (stream, incarnation, sequence, stored_through) VALUES ('METRICS', 'epoch', 1, $1)
		ON CONFLICT (stream) DO UPDATE SET stored_through = excluded.stored_through`, at)
}

func (w *world) line() time.Time {
	w.t.Helper()
	return scan[time.Time](w, `SELECT purged_before FROM purge_line`).UTC()
}

func (w *world) heldBy() string {
	w.t.Helper()
	return scan[string](w, `SELECT coalesce(held_by, '') FROM purge_line`)
}

func TestPurgeLine(t *testing.T) {
	t.Parallel()

	t.Run("waits for a writer that lags, and goes on when it has caught up", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-9*24*time.Hour), start)
		w.store(w.make(200, start.Add(-8*24*time.Hour), start.Add(-6*24*time.Hour)))
		w.storedThrough(start.Add(-12 * time.Hour)) // half a day of the log is not stored yet

		run := w.run()
		require.Equal(t, start.Add(-7*24*time.Hour-12*time.Hour).Truncate(time.Hour), w.line())
		require.Contains(t, run.HeldBy, "METRICS is stored up to 2026-03-11T00:30:00Z")
		require.Equal(t, run.HeldBy, w.heldBy())

		late := w.make(10, start.Add(-7*24*time.Hour-11*time.Hour), start.Add(-7*24*time.Hour))
		w.store(late) // what lay in the log, accepted in time
		w.storedThrough(start)
		run = w.run()
		require.Empty(t, run.HeldBy)
		require.Empty(t, w.heldBy())
		require.Equal(t, start.Add(-7*24*time.Hour-5*time.Minute).Truncate(time.Hour), w.line())
		w.requireReference()
	})

	t.Run("stands through an outage of three days, and nothing is lost or counted twice", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-9*24*time.Hour), start.Add(5*24*time.Hour))
		w.store(w.make(200, start.Add(-7*24*time.Hour), start))
		w.storedThrough(start)
		w.run()
		before := w.line()

		// Accepted while the database was away, some of it almost too old by then.
		waiting := w.make(100, start.Add(-7*24*time.Hour+time.Hour), start.Add(3*24*time.Hour))
		for range 3 {
			w.clock.Advance(24 * time.Hour)
			require.NotEmpty(t, w.run().HeldBy)
			require.Equal(t, before, w.line())
		}
		w.store(waiting)
		w.storedThrough(w.clock.Now())
		w.run()
		require.Equal(t, w.clock.Now().Add(-7*24*time.Hour-5*time.Minute).Truncate(time.Hour), w.line())
		w.requireReference()

		again, err := write(t.Context(), w.pool, waiting) // a replay of all of it
		require.NoError(t, err)
		require.Zero(t, again, "what is purged is summarised, what is not is a duplicate")
		w.settled()
		w.requireReference()
	})

	t.Run("stops before an hour that cannot be aggregated; the others are done", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-9*24*time.Hour), start)
		w.store(w.make(200, start.Add(-8*24*time.Hour), start.Truncate(time.Hour)))
		bad := start.Add(-7*24*time.Hour - 3*time.Hour).Truncate(time.Hour)
		poison := w.performance(bad.Add(time.Minute))
		poison.ResponseTimeMS = math.NaN()
		w.exec(`INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms)
			VALUES ($1, $2, $2, 'orders', '/', 'GET', 200, $3)`, poison.ID, poison.Timestamp, poison.ResponseTimeMS)

		run, err := w.runner.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand})
		require.NoError(t, err)
		require.Equal(t, aggregate.Partial, run.Status)
		require.Equal(t, 2, aggregate.ExitCode(run, err))
		require.EqualValues(t, 1, run.HoursFailed)
		require.Len(t, run.Failures, 1)
		require.Equal(t, bad, *run.Failures[0].TimeBucket)
		require.Contains(t, run.Failures[0].Message, "not a finite number")
		require.False(t, w.line().After(bad))
		require.Zero(t, scan[int](w, `SELECT count(*) FROM performance_metrics WHERE "timestamp" < $1`, bad), "what is before it is purged")
		require.Contains(t, w.heldBy(), bad.Format(time.RFC3339))
		require.Equal(t, []time.Time{bad}, w.unaggregated())
		require.Zero(t, scan[int](w, `SELECT count(*) FROM day_receipts WHERE metric_type = 'performance' AND time_bucket = $1`, bad.Truncate(24*time.Hour)))

		w.exec(`DELETE FROM performance_metrics WHERE id = $1`, poison.ID)
		w.run()
		w.requireReference()
	})

	t.Run("verifies while it deletes, and derives again what differs", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-9*24*time.Hour), start)
		old := start.Add(-5 * 24 * time.Hour).Truncate(time.Hour)
		w.store(w.make(50, old, old.Add(time.Hour)))
		w.run()
		unmarked := w.make(1, old, old.Add(time.Hour)) // behind the writer's back
		require.NoError(t, pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
			_, err := insert(t.Context(), tx, unmarked)
			return err
		}))
		w.clock.Advance(3 * 24 * time.Hour)
		run := w.run()
		require.EqualValues(t, 2, run.HoursDiffering)
		require.EqualValues(t, 102, run.RowsDeleted)
		w.requireReference()
		require.Equal(t, 2, scan[int](w, `SELECT count(*) FROM day_receipts WHERE time_bucket = $1`, old.Truncate(24*time.Hour)), "the day is summed up again")
	})

	t.Run("never lets go of rows below it that nothing counts", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-9*24*time.Hour), start)
		w.store(w.make(20, start.Add(-8*24*time.Hour), start.Add(-7*24*time.Hour)))
		w.run()
		w.exec(`SELECT ensure_raw_partition('performance_metrics', $1::date)`, start.Add(-8*24*time.Hour))
		w.exec(`INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms)
			VALUES (gen_random_uuid(), $1, $1, 'orders', '/', 'GET', 200, 1)`, start.Add(-8*24*time.Hour))
		for range 2 {
			w.clock.Advance(24 * time.Hour)
			run, err := w.runner.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand})
			require.NoError(t, err)
			require.Equal(t, 2, aggregate.ExitCode(run, err))
			require.Contains(t, run.Failures[0].Message, "1 rows of performance_metrics lie below the purge line")
			require.Equal(t, 1, scan[int](w, `SELECT count(*) FROM performance_metrics`))
		}
		w.requireReference()
	})

	t.Run("is not drawn while a writer's transaction is open, and that is no failure", func(t *testing.T) {
		t.Parallel()
		cfg := testConfig()
		cfg.LockTimeout = 50 * time.Millisecond
		w := setupWith(t, cfg)
		w.prepare(start.Add(-9*24*time.Hour), start)
		w.store(w.make(20, start.Add(-8*24*time.Hour), start.Add(-7*24*time.Hour)))
		tx := w.begin()
		_, err := tx.Exec(t.Context(), `LOCK TABLE purge_gate IN ROW SHARE MODE`)
		require.NoError(t, err)
		run := w.run()
		require.Contains(t, run.HeldBy, "a transaction of a writer")
		require.NoError(t, tx.Rollback(t.Context()))
		require.Empty(t, w.run().HeldBy)
		w.requireReference()
	})

	t.Run("leaves partitions to readers that use them", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-9*24*time.Hour), start)
		parts := func() int {
			return scan[int](w, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'performance_metrics'::regclass`)
		}
		before := parts()
		reader, err := w.pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = reader.Exec(t.Context(), `SELECT count(*) FROM performance_metrics`)
		require.NoError(t, err)
		w.run()
		require.Equal(t, before, parts())
		require.NoError(t, reader.Rollback(t.Context()))
		w.run()
		require.Less(t, parts(), before)
	})
}

// unaggregated lists closed hours with raw rows and without a receipt.
func (w *world) unaggregated() []time.Time {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `
SELECT DISTINCT h FROM (
    SELECT 'performance' AS k, date_trunc('hour', "timestamp", 'UTC') AS h FROM performance_metrics
    UNION ALL SELECT 'usage', date_trunc('hour', "timestamp", 'UTC') FROM usage_events) r
 WHERE NOT EXISTS (SELECT FROM hour_receipts e WHERE e.metric_type = k AND e.time_bucket = h)`)
	require.NoError(w.t, err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	require.NoError(w.t, err)
	for i := range out {
		out[i] = out[i].UTC()
	}
	return out
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := open(t, "postgres://nobody@"+testkit.FreeAddr(t)+"/nothing?sslmode=disable&connect_timeout=1")
	runner, err := aggregate.New(aggregate.Params{Config: testConfig(), Pool: pool, Now: w.clock.Now, Log: testkit.Logger(t)})
	require.NoError(t, err)
	run, err := runner.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand, Unattended: true})
	require.ErrorIs(t, err, aggregate.ErrUnreachable)
	require.Equal(t, 1, aggregate.ExitCode(run, err))
}

func TestGovernance(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.WarnRows, cfg.AlertRows = 15, 25
	w := setupWith(t, cfg)
	w.prepare(start.Add(-48*time.Hour), start)
	var log lockedBuffer
	w.runner = w.newRunner(slog.New(slog.NewTextHandler(&log, nil)))
	table := func(name, field string) string {
		return scan[string](w, `SELECT t->>$2 FROM pipeline_status, jsonb_array_elements(body->'tables') t WHERE part = 'governance' AND t->>'table' = $1`, name, field)
	}

	e := w.make(10, start.Add(-30*time.Hour), start.Add(-time.Hour))
	w.store(e)
	w.run()
	require.Equal(t, "10", table("performance_metrics", "rows"))
	require.Equal(t, "ok", table("performance_metrics", "level"))
	require.NotContains(t, log.String(), "performance_metrics rows")

	w.store(events{performance: w.make(6, start.Add(-time.Minute), start).performance}) // the open hour counts
	w.run()
	require.Equal(t, "16", table("performance_metrics", "rows"))
	require.Equal(t, "warning", table("performance_metrics", "level"))
	require.Contains(t, log.String(), `level=WARN msg="aggregate: table nears its bound of rows" table=performance_metrics rows=16`)

	w.store(events{performance: w.make(9, start.Add(-30*time.Hour), start.Add(-time.Hour)).performance})
	w.run()
	require.Equal(t, "25", table("performance_metrics", "rows"))
	require.Equal(t, "alert", table("performance_metrics", "level"))
	require.Contains(t, log.String(), `level=ERROR msg="ALERT: aggregate: table has reached its bound of rows" table=performance_metrics rows=25`)
}

// lockedBuffer is a buffer for loggers used by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Clone(l.b.String())
}
