package query

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// reads are all endpoints that read, with what they need.
var reads = map[string][]string{
	"/api/v1/apps":                nil,
	"/api/v1/metrics/performance": {"compare", "true"},
	"/api/v1/metrics/usage":       {"compare", "true"},
	"/api/v1/metrics/time-series": {"metric_type", "both"},
	"/api/v1/metrics/endpoint":    {"endpoint", "/orders", "method", "GET"},
	"/api/v1/metrics/event":       {"event_type", "page_view"},
	"/api/v1/metrics/requests":    nil,
	"/api/v1/metrics/features":    nil,
	"/api/v1/metrics/export":      {"kind", "usage"},
	"/api/v1/metrics/usage/count": nil,
	"/api/v1/pipeline":            nil,
	"/api/v1/pipeline/dead":       nil,
}

func eachRead(t *testing.T, f func(t *testing.T, path string, pairs []string)) {
	t.Helper()
	for path, pairs := range reads {
		t.Run(strings.TrimPrefix(path, "/api/v1/"), func(t *testing.T) { f(t, path, pairs) })
	}
}

func TestEmptyDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	eachRead(t, func(t *testing.T, path string, pairs []string) {
		rec := b.get(path, pairs...)
		require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
		require.NotContains(t, rec.Body.String(), "null")
	})
	for _, name := range []string{"7d", "30d", "90d"} {
		got := ask[api.Performance](b, "/api/v1/metrics/performance", "time_range", name)
		require.Equal(t, api.PerformanceMetrics{InsufficientSamples: &api.InsufficientSamples{"p50", "p95", "p99"}}, got.Metrics)
		require.Equal(t, got.StartTime, got.Sources.CompleteTo, "nothing is known to be complete")
		require.Empty(t, ask[api.TimeSeries](b, "/api/v1/metrics/time-series", "metric_type", "both", "time_range", name).DataPoints)
		require.Empty(t, ask[api.Usage](b, "/api/v1/metrics/usage", "time_range", name).ActiveUsers)
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	proxy, dsn := testkit.ProxyURL(t, testkit.Database(t))
	b := setupOn(t, dsn)
	b.get("/api/v1/apps")
	proxy.Cut()
	eachRead(t, func(t *testing.T, path string, pairs []string) {
		rec := b.get(path, pairs...)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Contains(t, rec.Body.String(), `"message":"Data temporarily unavailable"`)
		require.NotEmpty(t, rec.Header().Get("Retry-After"))
		require.NotContains(t, rec.Body.String(), "127.0.0.1")
	})
	t.Run("and back", func(t *testing.T) {
		proxy.Heal()
		require.Equal(t, http.StatusOK, b.get("/api/v1/apps").Code)
	})
}

func TestQueryThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Timeout = 100 * time.Millisecond })
	b.requests(event.Performance{Timestamp: before(time.Hour)})
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	_, err = tx.Exec(t.Context(), `LOCK TABLE performance_metrics, usage_events, pipeline_status IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)

	eachRead(t, func(t *testing.T, path string, pairs []string) {
		got := b.refused(http.StatusServiceUnavailable, path, pairs...)
		require.Equal(t, "Data temporarily unavailable", got["message"])
	})
	t.Run("Postgres has stopped as well", func(t *testing.T) {
		testkit.Eventually(t, "no statement is left waiting", func() bool {
			var waiting int
			err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
				AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`).Scan(&waiting)
			return err == nil && waiting == 0
		})
	})
}

// Nobody waits for the answer of a caller who has left: Postgres stops with them,
// long before its own timeout.
func TestCallerWhoLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := DefaultConfig()
	config.Timeout = time.Hour
	s, err := New(Params{Pool: b.pool, Log: testkit.Logger(t), Clock: b.clock.Now, Config: config})
	require.NoError(t, err)
	server := httptest.NewServer(httpapi.NewHandler(httpapi.HandlerParams{Routes: s.Routes(), Auth: b, Log: testkit.Logger(t)}))
	defer server.Close()
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	_, err = tx.Exec(t.Context(), `LOCK TABLE performance_metrics IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	waiting := func() (n int) {
		require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
			AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`).Scan(&n))
		return n
	}

	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/metrics/performance", nil)
	require.NoError(t, err)
	left := make(chan error, 1)
	go func() {
		resp, err := server.Client().Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		left <- err
	}()
	testkit.Eventually(t, "the statement waits", func() bool { return waiting() == 1 })
	leave()
	require.ErrorIs(t, testkit.Receive(t, "the caller's error", left), context.Canceled)
	testkit.Eventually(t, "Postgres stops", func() bool { return waiting() == 0 })
}

// The bounds of a snapshot hold inside of it and end with it.
func TestSnapshotSettings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := snapshot.New(b.pool, time.Second, 0)
	read := func(tx pgx.Tx) (timeout, isolation, mode string) {
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT current_setting('statement_timeout'), current_setting('transaction_isolation'),
			current_setting('transaction_read_only')`).Scan(&timeout, &isolation, &mode))
		return timeout, isolation, mode
	}
	require.NoError(t, s.Read(t.Context(), func(_ context.Context, tx pgx.Tx) error {
		timeout, isolation, mode := read(tx)
		require.Equal(t, []string{"1s", "repeatable read", "on"}, []string{timeout, isolation, mode})
		return nil
	}))
	require.NoError(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		timeout, _, _ := read(tx)
		require.Equal(t, "0", timeout)
		return nil
	}))
}

func TestParametersThatBreakARule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		path  string
		pairs []string
		field string
	}{
		"a range":                     {"/api/v1/metrics/performance", []string{"time_range", "1h"}, "time_range"},
		"an empty filter":             {"/api/v1/metrics/performance", []string{"app", ""}, "app"},
		"a filter too long":           {"/api/v1/metrics/performance", []string{"endpoint", strings.Repeat("x", 501)}, "endpoint"},
		"NUL in a filter":             {"/api/v1/metrics/usage", []string{"event_type", "a\x00"}, "event_type"},
		"no UTF-8 in a filter":        {"/api/v1/metrics/usage", []string{"app", "\xff"}, "app"},
		"a boolean":                   {"/api/v1/metrics/usage", []string{"compare", "1"}, "compare"},
		"an interval":                 {"/api/v1/metrics/usage", []string{"interval", "weekly"}, "interval"},
		"five minutes of seven days":  {"/api/v1/metrics/usage", []string{"interval", "5min", "time_range", "7d"}, "interval"},
		"a zone":                      {"/api/v1/metrics/usage", []string{"time_zone", "Mars/Olympus"}, "time_zone"},
		"the server's own zone":       {"/api/v1/metrics/usage", []string{"time_zone", "Local"}, "time_zone"},
		"a zone that is a path":       {"/api/v1/metrics/usage", []string{"time_zone", "../../etc/passwd"}, "time_zone"},
		"a metric type":               {"/api/v1/metrics/time-series", []string{"metric_type", "cpu"}, "metric_type"},
		"an order":                    {"/api/v1/metrics/requests", []string{"order", "random"}, "order"},
		"a status class":              {"/api/v1/metrics/requests", []string{"status_class", "1xx"}, "status_class"},
		"the range of own events":     {"/api/v1/metrics/usage/count", []string{"start", "now"}, "end"},
		"five minutes without a row":  {"/api/v1/metrics/usage", append([]string{"interval", "5min"}, pairs(between(before(20*history.Day), before(20*history.Day-time.Hour)))...), "interval"},
		"the limit of dead letters":   {"/api/v1/pipeline/dead", []string{"limit", "-1"}, "limit"},
		"the limit of features":       {"/api/v1/metrics/features", []string{"limit", "9999"}, "limit"},
		"the kind of an export":       {"/api/v1/metrics/export", []string{"kind", "both"}, "kind"},
		"the endpoint of an endpoint": {"/api/v1/metrics/endpoint", []string{"method", "GET"}, "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "five minutes without a row" {
				b.exec(`UPDATE purge_line SET purged_before = $1`, before(7*history.Day).Truncate(time.Hour))
			}
			got := b.refused(http.StatusBadRequest, c.path, c.pairs...)
			require.Contains(t, got["message"], c.field)
			require.Equal(t, c.field, got["details"].(map[string]any)["field"])
		})
	}
}

func TestMe(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Version = "1.2.3" })
	admin := ask[api.Me](b, "/api/v1/me")
	require.True(t, admin.IsAdmin)
	require.Equal(t, "1.2.3", *admin.Version)
	require.EqualValues(t, 90*24*3600, admin.Limits.MaxRangeSeconds)

	b.caller = auth.Caller{Kind: auth.KindUser, UserID: "bob"}
	other := ask[api.Me](b, "/api/v1/me")
	require.Equal(t, api.Me{UserID: "bob", AuthMode: api.AuthModeDatabricks}, other)
	for path, pairs := range reads {
		if path == "/api/v1/metrics/usage/count" {
			continue
		}
		require.Equal(t, "Administrator privileges required", b.refused(http.StatusForbidden, path, pairs...)["message"], path)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultConfig().Validate())
	err := Config{}.Validate()
	for _, rule := range []string{"raw retention", "timeout", "auth mode", "governance"} {
		require.ErrorContains(t, err, rule)
	}
	_, err = New(Params{Log: testkit.Logger(t), Clock: time.Now})
	require.Error(t, err)
}

func pairs(q map[string][]string) (list []string) {
	for k, v := range q {
		list = append(list, k, v[0])
	}
	return list
}
