package query

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
)

func TestWhereAnHourComesFrom(t *testing.T) {
	t.Parallel()
	hour := before(3 * history.Day).Truncate(time.Hour)
	prepare := func(t *testing.T) *bundle {
		b := setup(t)
		for i := range 10 {
			b.requests(event.Performance{Timestamp: hour.Add(time.Duration(i) * time.Minute), ResponseTimeMS: float64(10 * (i + 1)), UserID: "ada"})
		}
		b.settle(hour, 100) // 110 in the aggregate, 10 in the rows
		return b
	}
	total := func(b *bundle, pairs ...string) (int64, api.Provenance) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance", pairs...)
		require.Equal(b.t, got.Metrics.TotalRequests, sum(got.Endpoints[0].Trend))
		return got.Metrics.TotalRequests, got.Sources
	}
	custom := func(from, to time.Time) []string { return pairs(between(from, to)) }

	t.Run("from its aggregate beyond a day", func(t *testing.T) {
		t.Parallel()
		n, sources := total(prepare(t), "time_range", "7d")
		require.EqualValues(t, 110, n)
		require.Equal(t, api.PrecisionBounded, sources.Percentiles.Kind)
		require.InDelta(t, 0.01, sources.Percentiles.RelativeError, 0)
		require.Equal(t, hour, *sources.AggregatedFrom)
		require.Equal(t, hour.Add(time.Hour), *sources.RawFrom)
	})
	t.Run("from raw rows when that is asked for", func(t *testing.T) {
		t.Parallel()
		n, sources := total(prepare(t), "time_range", "7d", "exact", "true")
		require.EqualValues(t, 10, n)
		require.Equal(t, api.PrecisionExact, sources.Percentiles.Kind)
		require.Nil(t, sources.AggregatedFrom)
	})
	t.Run("from raw rows while a mark says there are more", func(t *testing.T) {
		t.Parallel()
		b := prepare(t)
		b.exec(`INSERT INTO hour_marks (time_bucket, metric_type) VALUES ($1, 'performance')`, hour)
		n, _ := total(b, "time_range", "7d")
		require.EqualValues(t, 10, n)
	})
	t.Run("a mark on the other kind is no matter", func(t *testing.T) {
		t.Parallel()
		b := prepare(t)
		b.exec(`INSERT INTO hour_marks (time_bucket, metric_type) VALUES ($1, 'usage')`, hour)
		n, _ := total(b, "time_range", "7d")
		require.EqualValues(t, 110, n)
	})
	t.Run("from raw rows where the range has only part of it", func(t *testing.T) {
		t.Parallel()
		n, sources := total(prepare(t), custom(hour.Add(5*time.Minute), hour.Add(2*history.Day))...)
		require.EqualValues(t, 5, n)
		require.Equal(t, api.AlignmentNone, sources.Alignment)
	})
	t.Run("from its aggregate alone below the purge line, edges moved to the hour", func(t *testing.T) {
		t.Parallel()
		b := prepare(t)
		b.exec(`UPDATE purge_line SET purged_before = $1`, hour.Add(2*time.Hour))
		b.exec(`DELETE FROM hour_receipts`)
		n, sources := total(b, custom(hour.Add(5*time.Minute), hour.Add(20*time.Minute))...)
		require.EqualValues(t, 110, n)
		require.Equal(t, api.AlignmentHour, sources.Alignment)
		require.Equal(t, hour, sources.EffectiveStart)
		require.Equal(t, hour.Add(30*time.Minute), sources.EffectiveEnd, "where a day of Adelaide begins")
		require.Equal(t, hour.Add(2*time.Hour), sources.CompleteTo, "what is purged was stored")
		require.Nil(t, sources.RawFrom)
	})
	t.Run("from raw rows when they disagree within a day, where both can be held against each other", func(t *testing.T) {
		t.Parallel()
		n, sources := total(prepare(t), custom(hour.Add(-time.Hour), hour.Add(2*time.Hour))...)
		require.EqualValues(t, 10, n)
		require.Equal(t, api.PrecisionExact, sources.Percentiles.Kind)
	})
	t.Run("the hours an empty chart is made of need no rows", func(t *testing.T) {
		t.Parallel()
		got := ask[api.TimeSeries](prepare(t), "/api/v1/metrics/time-series", "metric_type", "both", "time_range", "7d")
		require.Len(t, got.DataPoints, 1)
		require.EqualValues(t, 110, *got.DataPoints[0].TotalRequests)
		require.EqualValues(t, 1, *got.DataPoints[0].ActiveUsers)
	})
}

// An answer is of one moment: what is committed after its first look is not in
// any of its numbers, also not in those that are read later.
func TestAnswerIsOfOneMoment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.requests(event.Performance{Timestamp: before(time.Hour), UserID: "ada"})
	b.events(event.Usage{Timestamp: before(time.Hour), UserID: "ada"})
	gate, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), `LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)

	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- b.get("/api/v1/metrics/performance") }()
	testkit.Eventually(t, "the answer waits for the users of events", func() bool {
		var waiting int
		err := gate.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'usage_events'::regclass`).Scan(&waiting)
		return err == nil && waiting > 0
	})
	b.requests(event.Performance{Timestamp: before(time.Hour), UserID: "bob"})
	_, err = gate.Exec(t.Context(), `INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id)
		VALUES (gen_random_uuid(), $1, $1, 'shop', 'page_view', 'cyd')`, before(time.Hour))
	require.NoError(t, err)
	require.NoError(t, gate.Commit(t.Context()))

	rec := <-answered
	require.Contains(t, rec.Body.String(), `"total_requests":1`)
	require.Contains(t, rec.Body.String(), `"active_users":1`)
	require.EqualValues(t, 3, ask[api.Performance](b, "/api/v1/metrics/performance").Metrics.ActiveUsers)
}

// Percentiles that are looked up equal percentile_disc, whatever the values: many
// equal ones, one alone, and those beyond the ends of the histogram.
func TestLookedUpPercentilesAreExact(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(8, 9))
	value := map[string]func() float64{
		"/spread":  func() float64 { return math.Exp(r.NormFloat64()*3 + 2) },
		"/coarse":  func() float64 { return float64(r.IntN(5)) },
		"/same":    func() float64 { return 7 },
		"/tiny":    func() float64 { return r.Float64() / 20 },
		"/endless": func() float64 { return 3_600_000 * (1 + r.Float64()) },
		"/two":     func() float64 { return []float64{1, 1000}[r.IntN(2)] },
	}
	var list []event.Performance
	for endpoint, v := range value {
		for range 50 + r.IntN(200) {
			list = append(list, event.Performance{Endpoint: endpoint, ResponseTimeMS: v(), Timestamp: before(time.Duration(1+r.IntN(70_000)) * time.Second)})
		}
	}
	list = append(list, event.Performance{Endpoint: "/once", ResponseTimeMS: 12.5, Timestamp: before(time.Minute)})
	b.requests(list...)
	got := ask[api.Performance](b, "/api/v1/metrics/performance")
	want := map[string][]float64{}
	rows, err := b.pool.Query(t.Context(), `SELECT coalesce(endpoint, 'all'), percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms)
		FROM performance_metrics WHERE "timestamp" >= $1 GROUP BY ROLLUP (endpoint)`, before(history.Day))
	require.NoError(t, err)
	var name string
	var p []float64
	_, err = pgx.ForEachRow(rows, []any{&name, &p}, func() error { want[name] = p; return nil })
	require.NoError(t, err)
	require.Len(t, got.Endpoints, len(want)-1)
	m := got.Metrics
	require.Equal(t, want["all"], []float64{m.P50ResponseTimeMs, m.P95ResponseTimeMs, m.P99ResponseTimeMs})
	for _, e := range got.Endpoints {
		require.Equal(t, want[e.Endpoint], []float64{e.P50ResponseTimeMs, e.P95ResponseTimeMs, e.P99ResponseTimeMs}, e.Endpoint)
	}
}

// An export breaks off rather than leave out rows that were purged under it.
func TestExportBreaksOffWhenItsRowsArePurged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var list []event.Performance
	for range records.ExportPageRows + 10 {
		list = append(list, event.Performance{Timestamp: before(20 * time.Hour)})
	}
	b.requests(list...)
	s, err := New(Params{Pool: b.pool, Log: testkit.Logger(t), Clock: b.clock.Now, Config: DefaultConfig()})
	require.NoError(t, err)
	q := records.ExportQuestion{Range: history.Range{Start: before(history.Day), End: moment}, Kind: event.KindPerformance}
	ctx := context.WithoutCancel(t.Context())
	at, n := records.StartExport(q), 0
	for n == 0 {
		page, next, err := s.readExport(ctx, q, at)
		require.NoError(t, err)
		at, n = next, len(page)
	}
	require.Equal(t, records.ExportPageRows, n)
	b.exec(`UPDATE purge_line SET purged_before = $1`, before(10*time.Hour).Truncate(time.Hour))
	_, _, err = s.readExport(ctx, q, at)
	require.ErrorContains(t, err, "purged")
}
