package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// start is the time at which tests begin: a Wednesday, half past noon.
var start = time.Date(2026, 3, 11, 12, 30, 0, 0, time.UTC)

// world is a database, a clock and a runner over them.
type world struct {
	t      *testing.T
	dsn    string
	pool   *pgxpool.Pool
	clock  *testkit.Clock
	cfg    aggregate.Config
	runner *aggregate.Runner
	random *rand.Rand
	mu     sync.Mutex // for hooks
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupWith(t, testConfig())
}

func setupWith(t *testing.T, cfg aggregate.Config) *world {
	t.Helper()
	w := &world{t: t, dsn: testkit.Database(t), clock: testkit.NewClock(start), cfg: cfg, random: rand.New(rand.NewPCG(1, 2))}
	w.pool = open(t, w.dsn)
	w.runner = w.newRunner(testkit.Logger(t))
	return w
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

func testConfig() aggregate.Config {
	cfg := aggregate.DefaultConfig()
	cfg.Lease = 300 * time.Millisecond // what a killed run leaves behind is waited for
	cfg.Instance = "test"
	return cfg
}

func (w *world) newRunner(log *slog.Logger) *aggregate.Runner {
	w.t.Helper()
	r, err := aggregate.New(aggregate.Params{Config: w.cfg, Pool: w.pool, Now: w.clock.Now, Log: log})
	require.NoError(w.t, err)
	return r
}

// run does a retention run that must succeed.
func (w *world) run() aggregate.Run {
	w.t.Helper()
	run, err := w.runner.Once(w.t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand, RequestedBy: "test"})
	require.NoError(w.t, err)
	require.Equal(w.t, aggregate.Done, run.Status, "%v", run.Failures)
	return run
}

// rollUp does a rollup that must succeed.
func (w *world) rollUp() aggregate.Run {
	w.t.Helper()
	run, err := w.runner.Once(w.t.Context(), aggregate.Request{Kind: aggregate.Rollup, Trigger: aggregate.TriggerSchedule})
	require.NoError(w.t, err)
	require.Equal(w.t, aggregate.Done, run.Status, "%v", run.Failures)
	return run
}

// events are rows for both tables.
type events struct {
	performance []event.Performance
	usage       []event.Usage
}

func (e events) len() int { return len(e.performance) + len(e.usage) }

// make makes n events of each kind, spread over a time.
func (w *world) make(n int, from, to time.Time) events {
	var e events
	for range n {
		at := from.Add(time.Duration(w.random.Int64N(int64(to.Sub(from))))).Truncate(time.Microsecond)
		e.performance = append(e.performance, w.performance(at))
		e.usage = append(e.usage, w.usage(at))
	}
	return e
}

func (w *world) id() uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(w.random.UintN(256))
	}
	return id
}

func (w *world) performance(at time.Time) event.Performance {
	r := w.random
	p := event.Performance{
		ID: w.id(), Timestamp: at, ReceivedAt: at, App: []string{"orders", "billing"}[r.IntN(2)],
		Endpoint: fmt.Sprintf("/api/v1/things/%d", r.IntN(5)), Method: []string{"GET", "POST"}[r.IntN(2)],
		StatusCode: []int{200, 200, 200, 200, 201, 304, 404, 500}[r.IntN(8)], ResponseTimeMS: math.Exp(r.NormFloat64()*2 + 3),
		AppVersion: []string{"1.0", "1.1", ""}[r.IntN(3)],
	}
	if r.IntN(5) > 0 {
		p.UserID = fmt.Sprintf("user%d@example.com", r.IntN(20))
	}
	if p.IsError() && r.IntN(3) > 0 {
		p.ErrorType = []string{"Timeout", "NotFound"}[r.IntN(2)]
	}
	return p
}

func (w *world) usage(at time.Time) event.Usage {
	r := w.random
	u := event.Usage{
		ID: w.id(), Timestamp: at, ReceivedAt: at, App: []string{"orders", "billing"}[r.IntN(2)],
		EventType: []string{"page_view", "button_click", "form_submit"}[r.IntN(3)], UserID: fmt.Sprintf("user%d@example.com", r.IntN(30)),
	}
	if r.IntN(4) > 0 {
		u.PageName = fmt.Sprintf("/page/%d", r.IntN(4))
	}
	if r.IntN(2) > 0 {
		u.ElementID = fmt.Sprintf("button-%d", r.IntN(6))
	}
	if r.IntN(3) > 0 {
		ok := r.IntN(10) > 0
		u.Success = &ok
	}
	return u
}

// write stores events as the writer does: behind the gate, not below the line,
// marks last. It returns how many are new.
func write(ctx context.Context, pool *pgxpool.Pool, e events) (int, error) {
	stored := 0
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		stored = 0
		if _, err := tx.Exec(ctx, `LOCK TABLE purge_gate IN ROW SHARE MODE`); err != nil {
			return err
		}
		n, err := insert(ctx, tx, e)
		if err != nil {
			return err
		}
		stored = n
		return mark(ctx, tx, e)
	})
	return stored, err
}

func mark(ctx context.Context, tx pgx.Tx, e events) error {
	batch := &pgx.Batch{}
	for h := range e.hours() {
		batch.Queue(upsertMark, h.start, h.kind)
	}
	return tx.SendBatch(ctx, batch).Close()
}

type hourOf struct {
	start time.Time
	kind  event.Kind
}

func (e events) hours() map[hourOf]bool {
	out := map[hourOf]bool{}
	for _, p := range e.performance {
		out[hourOf{p.Timestamp.Truncate(time.Hour), event.KindPerformance}] = true
	}
	for _, u := range e.usage {
		out[hourOf{u.Timestamp.Truncate(time.Hour), event.KindUsage}] = true
	}
	return out
}

const upsertMark = `
INSERT INTO hour_marks (time_bucket, metric_type)
SELECT $1::timestamptz, $2 WHERE $1 >= (SELECT purged_before FROM purge_line)
ON CONFLICT (time_bucket, metric_type) DO UPDATE SET version = hour_marks.version + 1`

// insert puts rows into the raw tables, those at or above the line, and into
// the plain tables that keep all of them for ever.
func insert(ctx context.Context, tx pgx.Tx, e events) (int, error) {
	n := 0
	batch := &pgx.Batch{}
	count := func(tag pgconn.CommandTag) error { n += int(tag.RowsAffected()); return nil }
	for _, p := range e.performance {
		batch.Queue(`
WITH new AS (
  INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms, user_id, error_type, app_version)
  SELECT $1, $2::timestamptz, $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, ''), nullif($10, '')
   WHERE $2 >= (SELECT purged_before FROM purge_line)
  ON CONFLICT DO NOTHING RETURNING *)
INSERT INTO all_performance SELECT * FROM new`,
			p.ID, p.Timestamp, p.App, p.Endpoint, p.Method, p.StatusCode, p.ResponseTimeMS, p.UserID, p.ErrorType, p.AppVersion).Exec(count)
	}
	for _, u := range e.usage {
		batch.Queue(`
WITH new AS (
  INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id, page_name, element_id, success)
  SELECT $1, $2::timestamptz, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), $8
   WHERE $2 >= (SELECT purged_before FROM purge_line)
  ON CONFLICT DO NOTHING RETURNING *)
INSERT INTO all_usage SELECT * FROM new`,
			u.ID, u.Timestamp, u.App, u.EventType, u.UserID, u.PageName, u.ElementID, u.Success).Exec(count)
	}
	err := tx.SendBatch(ctx, batch).Close()
	return n, err
}

// prepare makes partitions for the days before and after start, and the plain
// tables beside the raw ones.
func (w *world) prepare(from, to time.Time) {
	w.t.Helper()
	w.exec(`CREATE TABLE all_performance (LIKE performance_metrics); CREATE TABLE all_usage (LIKE usage_events)`)
	for day := from.Truncate(24 * time.Hour); !day.After(to); day = day.Add(24 * time.Hour) {
		w.exec(`SELECT ensure_raw_partition(t, $1::date) FROM unnest(ARRAY['performance_metrics', 'usage_events']) AS t`, day)
	}
}

// store writes events, all of which must be new.
func (w *world) store(e events) {
	w.t.Helper()
	n, err := write(w.t.Context(), w.pool, e)
	require.NoError(w.t, err)
	require.Equal(w.t, e.len(), n)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.pool.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// scan reads one value.
func scan[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(w.t, err)
	return v
}

// dump is everything the aggregator has derived, as text, without what differs
// between any two runs: times, run ids, the numbers of users, and the last
// digits of sums, which depend on the order of adding.
func (w *world) dump() []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `
SELECT 'metrics', tidy(to_jsonb(a)) || named(users) FROM aggregated_metrics a
UNION ALL SELECT 'days', tidy(to_jsonb(a)) || named(users) FROM aggregated_days a
UNION ALL SELECT 'totals', tidy(to_jsonb(a)) || named(users) FROM aggregated_totals a
UNION ALL SELECT 'hour', to_jsonb(r) - 'aggregated_at' - 'run_id' FROM hour_receipts r
UNION ALL SELECT 'day', to_jsonb(r) - 'aggregated_at' - 'run_id' FROM day_receipts r
UNION ALL SELECT 'mark', to_jsonb(m) - 'marked_at' FROM hour_marks m
UNION ALL SELECT 'line', to_jsonb(l) - 'updated_at' FROM purge_line l
UNION ALL SELECT 'version', to_jsonb(v) FROM app_versions v
UNION ALL SELECT 'raw', to_jsonb(count(*)) FROM performance_metrics
UNION ALL SELECT 'raw', to_jsonb(count(*)) FROM usage_events
ORDER BY 1, 2`)
	require.NoError(w.t, err)
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var what, text string
		err := row.Scan(&what, &text)
		return what + " " + text, err
	})
	require.NoError(w.t, err)
	return out
}

// requireSame compares two worlds' dumps, and shows the first lines that differ.
func (w *world) requireSame(o *world) {
	w.t.Helper()
	got, want := w.dump(), o.dump()
	for i := range min(len(got), len(want)) {
		require.Equal(w.t, want[i], got[i])
	}
	require.Len(w.t, got, len(want))
}

// prepareDump makes what dump needs.
func (w *world) prepareDump() {
	w.t.Helper()
	w.exec(`CREATE FUNCTION named(users int[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
		SELECT jsonb_build_object('users', (SELECT jsonb_agg(user_id ORDER BY user_id) FROM user_numbers WHERE user_number = ANY(users))) $$;
		CREATE FUNCTION tidy(a jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
		SELECT (a - 'users' #- '{aggregated_values,avg_response_time_ms}')
		       || jsonb_build_object('response_time_sum', round((a->>'response_time_sum')::numeric, 6)) $$`)
}

// begin opens a transaction that ends with the test at the latest: a failed test
// that left it open would keep the pool from closing, and so the whole run.
func (w *world) begin() pgx.Tx {
	w.t.Helper()
	tx, err := w.pool.Begin(w.t.Context())
	require.NoError(w.t, err)
	w.t.Cleanup(func() {
		if err := tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			w.t.Errorf("roll back: %v", err)
		}
	})
	return tx
}
