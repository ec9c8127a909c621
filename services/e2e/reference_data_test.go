package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api/apitest"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
	"github.com/lakepulse/lakepulse/services/query"
)

// archive is an installation in simulated time that keeps a second copy of
// every row in plain tables, kept_requests and kept_events, where nothing is
// aggregated or deleted: what the product says is held against these.
type archive struct {
	t       testing.TB
	random  *rand.Rand
	pool    *pgxpool.Pool
	clock   *testkit.Clock
	raw     *rawstore.Store
	runner  *aggregate.Runner
	handler http.Handler
}

func newArchive(t testing.TB, dsn string, start time.Time, seed uint64) *archive {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = dsn
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	a := &archive{t: t, random: rand.New(rand.NewPCG(seed, 0)), pool: pool, clock: testkit.NewClock(start), raw: rawstore.New(pool, nil)}
	a.exec(`CREATE TABLE public.kept_requests (LIKE performance_metrics)`)
	a.exec(`CREATE TABLE public.kept_events (LIKE usage_events)`)
	log := testkit.Logger(t)
	a.runner, err = aggregate.New(aggregate.Params{Config: aggregate.DefaultConfig(), Pool: pool, Now: a.clock.Now, Log: log})
	require.NoError(t, err)
	service, err := query.New(query.Params{Pool: pool, Log: log, Clock: a.clock.Now, Config: query.DefaultConfig()})
	require.NoError(t, err)
	a.handler = apitest.Handler(t, httpapi.NewHandler(httpapi.HandlerParams{Routes: service.Routes(), Auth: auth.NewDev(nil), Log: log}))
	return a
}

func (a *archive) exec(sql string, args ...any) {
	a.t.Helper()
	_, err := a.pool.Exec(a.t.Context(), sql, args...)
	require.NoError(a.t, err)
}

// archiveGet asks the product.
func archiveGet[T any](a *archive, path string, q url.Values) (v T) {
	a.t.Helper()
	rec := httptest.NewRecorder()
	a.handler.ServeHTTP(rec, httptest.NewRequestWithContext(a.t.Context(), http.MethodGet, path+"?"+q.Encode(), nil))
	require.Equal(a.t, http.StatusOK, rec.Code, "%s?%s: %s", path, q.Encode(), rec.Body.String())
	require.NoError(a.t, json.Unmarshal(rec.Body.Bytes(), &v))
	return v
}

// store puts rows where the writer would, and keeps them.
func (a *archive) store(rows rawstore.Rows) {
	a.t.Helper()
	a.partitions(rows)
	out, err := a.raw.Put(a.t.Context(), rows)
	require.NoError(a.t, err)
	require.Equal(a.t, rows.Len(), out.Stored)
	a.keep(rows)
}

func (a *archive) partitions(rows rawstore.Rows) {
	a.t.Helper()
	days := map[time.Time]bool{}
	for _, p := range rows.Performance {
		days[p.Timestamp.Truncate(24*time.Hour)] = true
	}
	for _, u := range rows.Usage {
		days[u.Timestamp.Truncate(24*time.Hour)] = true
	}
	for day := range days {
		a.exec(`SELECT ensure_raw_partition(name, $1::date) FROM unnest(ARRAY['performance_metrics', 'usage_events']) AS name`, day)
	}
}

func (a *archive) keep(rows rawstore.Rows) {
	a.t.Helper()
	requests := make([][]any, 0, len(rows.Performance))
	for _, p := range rows.Performance {
		requests = append(requests, []any{p.ID, p.Timestamp, p.Timestamp, p.App, p.Endpoint, p.Method, p.StatusCode, p.ResponseTimeMS,
			orNull(p.UserID), orNull(p.ErrorType)})
	}
	a.copyIn("kept_requests", []string{"id", "timestamp", "received_at", "app", "endpoint", "method", "status_code", "response_time_ms",
		"user_id", "error_type"}, requests)
	events := make([][]any, 0, len(rows.Usage))
	for _, u := range rows.Usage {
		events = append(events, []any{u.ID, u.Timestamp, u.Timestamp, u.App, u.EventType, u.UserID, u.Success, orNull(u.PageName), orNull(u.ElementID)})
	}
	a.copyIn("kept_events", []string{"id", "timestamp", "received_at", "app", "event_type", "user_id", "success", "page_name", "element_id"}, events)
}

func (a *archive) copyIn(table string, columns []string, rows [][]any) {
	a.t.Helper()
	_, err := a.pool.CopyFrom(a.t.Context(), pgx.Identifier{"public", table}, columns, pgx.CopyFromRows(rows))
	require.NoError(a.t, err)
}

// arrive says that the log is stored up to now.
func (a *archive) arrive() {
	a.t.Helper()
	a.exec(`INSERT INTO stream_positions (stream, incarnation, sequence, stored_through) VALUES ('METRICS', $1, 1, $1)
		ON CONFLICT (stream) DO UPDATE SET stored_through = excluded.stored_through`, a.clock.Now())
}

// run does an aggregation run that must succeed.
func (a *archive) run(ctx context.Context, kind aggregate.Kind) aggregate.Run {
	run, err := a.runner.Once(ctx, aggregate.Request{Kind: kind, Trigger: aggregate.TriggerSchedule, RequestedBy: "test"})
	require.NoError(a.t, err)
	require.Equal(a.t, aggregate.Done, run.Status, "%v", run.Failures)
	return run
}

// hour makes the rows of one hour: a busy endpoint, rare ones, slow ones.
func (a *archive) hour(start time.Time, requests, events int) (rows rawstore.Rows) {
	for range requests {
		rows.Performance = append(rows.Performance, a.request(a.within(start)))
	}
	for range events {
		rows.Usage = append(rows.Usage, a.event(a.within(start)))
	}
	return rows
}

// within is some moment of the hour, now and then its very first.
func (a *archive) within(start time.Time) time.Time {
	if a.random.IntN(20) == 0 {
		return start
	}
	return start.Add(time.Duration(a.random.Int64N(int64(time.Hour)))).Truncate(time.Microsecond)
}

func (a *archive) id() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(a.random.UintN(256))
	}
	return id
}

var (
	archiveApps      = []string{"billing", "orders", "stock"}
	archiveEndpoints = []string{"/api/orders", "/api/orders/{id}", "/api/search", "/api/report"}
	archiveMethods   = []string{"GET", "POST"}
	archiveTypes     = []string{"page_view", "page_view", "button_click", "form_submit"}
)

func (a *archive) request(at time.Time) event.Performance {
	r := a.random
	place := min(r.IntN(len(archiveEndpoints)), r.IntN(len(archiveEndpoints)))
	p := event.Performance{ID: a.id(), Timestamp: at, ReceivedAt: at, App: archiveApps[min(r.IntN(3), r.IntN(3))],
		Endpoint: archiveEndpoints[place], Method: archiveMethods[r.IntN(2)], StatusCode: []int{200, 200, 200, 201, 304, 404, 500, 503}[r.IntN(8)],
		// Log-normal with a tail, from under a millisecond to many minutes.
		ResponseTimeMS: min(max(math.Exp(r.NormFloat64()*float64(place+1)+3), 0.11), 3_000_000)}
	if at.Hour() < 6 {
		p.ResponseTimeMS *= 10 // quiet hours are slow: averages of percentiles would show
	}
	p.ResponseTimeMS = min(p.ResponseTimeMS, 3_600_000)
	if r.IntN(4) > 0 {
		p.UserID = fmt.Sprintf("user%d@example.com", r.IntN(40)+at.YearDay()/3) // people come and go
	}
	if p.StatusCode >= 400 && r.IntN(3) > 0 {
		p.ErrorType = []string{"Timeout", "NotFound", "Boom"}[r.IntN(3)]
	}
	return p
}

func (a *archive) event(at time.Time) event.Usage {
	r := a.random
	u := event.Usage{ID: a.id(), Timestamp: at, ReceivedAt: at, App: archiveApps[r.IntN(3)], EventType: archiveTypes[r.IntN(4)],
		UserID: fmt.Sprintf("user%d@example.com", r.IntN(60)+at.YearDay()/3)}
	if r.IntN(4) > 0 {
		u.PageName = fmt.Sprintf("/page/%d", r.IntN(12))
	}
	if u.EventType != "page_view" {
		u.ElementID = fmt.Sprintf("element-%d", r.IntN(30))
		if r.IntN(2) > 0 {
			good := r.IntN(5) > 0
			u.Success = &good
		}
	}
	return u
}

// orNull is nil for "".
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// history lets days pass: rows arrive, some of them late, hours are aggregated,
// days are purged.
func (a *archive) history(days int) {
	a.t.Helper()
	first := a.clock.Now().Truncate(24 * time.Hour)
	for d := range days {
		day := first.AddDate(0, 0, d)
		var rows rawstore.Rows
		for _, h := range a.random.Perm(24)[:5] {
			more := a.hour(day.Add(time.Duration(h)*time.Hour), 40, 25)
			rows.Performance, rows.Usage = append(rows.Performance, more.Performance...), append(rows.Usage, more.Usage...)
		}
		if d > 6 && d%4 == 0 { // late, for hours that are aggregated already
			more := a.hour(day.Add(-time.Duration(a.random.IntN(5*24))*time.Hour), 15, 10)
			rows.Performance, rows.Usage = append(rows.Performance, more.Performance...), append(rows.Usage, more.Usage...)
		}
		a.store(rows)
		a.clock.Set(day.Add(26 * time.Hour)) // 02:00 the day after
		a.arrive()
		a.run(a.t.Context(), aggregate.Retention)
	}
}

// today lets the current day pass up to now, the last closed hour not yet
// aggregated, an earlier one with rows the aggregator has not seen.
func (a *archive) today(now time.Time) {
	a.t.Helper()
	day := now.Truncate(24 * time.Hour)
	for h := day; h.Before(now.Add(-2 * time.Hour)); h = h.Add(3 * time.Hour) {
		a.store(a.hour(h, 40, 25))
	}
	a.clock.Set(now.Add(-time.Hour))
	a.run(a.t.Context(), aggregate.Rollup)
	a.store(a.hour(now.Truncate(time.Hour).Add(-time.Hour), 40, 25))
	a.store(a.hour(day.AddDate(0, 0, -2), 10, 10))
	open := a.hour(now.Truncate(time.Hour), 60, 40)
	a.clock.Set(now)
	open.Performance = slices.DeleteFunc(open.Performance, func(p event.Performance) bool { return !p.Timestamp.Before(now) })
	open.Usage = slices.DeleteFunc(open.Usage, func(u event.Usage) bool { return !u.Timestamp.Before(now) })
	a.store(open)
	a.arrive()
}
