package aggregate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// callers authenticates by the name in a header.
type callers map[string]auth.Caller

func (c callers) Authenticate(r *http.Request) (auth.Caller, error) {
	caller, ok := c[r.Header.Get("X-Who")]
	if !ok {
		return auth.Caller{}, fault.New(fault.Unauthenticated, "Authentication required")
	}
	return caller, nil
}

var everybody = callers{
	"admin": {Kind: auth.KindUser, UserID: "admin@example.com", Admin: true},
	"job":   {Kind: auth.KindService, UserID: "1b0e0f4c-job"},
	"user":  {Kind: auth.KindUser, UserID: "user@example.com"},
	"app":   {Kind: auth.KindApp, App: "orders"},
}

func serve(t *testing.T, s *aggregate.Service) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(httpapi.NewHandler(httpapi.HandlerParams{Routes: s.Routes(), Auth: everybody, Log: testkit.Logger(t)}))
	t.Cleanup(server.Close)
	return server
}

func call[T any](t *testing.T, server *httptest.Server, method, path, who string, want int) T {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, bytes.NewReader(nil))
	require.NoError(t, err)
	req.Header.Set("X-Who", who)
	req.Header.Set(httpapi.HeaderCorrelation, "test-correlation")
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	var out T
	require.NoError(t, json.NewDecoder(res.Body).Decode(&out))
	require.Equal(t, want, res.StatusCode, "%+v", out)
	if run, ok := any(out).(api.AggregationRun); ok && want == http.StatusAccepted {
		require.Equal(t, runs+"/"+run.ID.String(), res.Header.Get("Location"))
	}
	return out
}

const runs = "/api/v1/aggregation/runs"

func TestService(t *testing.T) {
	t.Parallel()

	t.Run("a posted run is done in the background and can be followed", func(t *testing.T) {
		t.Parallel()
		w := aDay(t)
		s := aggregate.NewService(w.runner)
		server := serve(t, s)
		require.NoError(t, s.Start(t.Context()))
		defer func() { require.NoError(t, s.Stop(context.Background())) }()

		run := call[api.AggregationRun](t, server, http.MethodPost, runs, "job", http.StatusAccepted)
		require.Equal(t, api.RunRetention, run.Kind)
		require.Equal(t, "1b0e0f4c-job", *run.TriggeredBy)
		require.Equal(t, "test-correlation", *run.CorrelationID)
		testkit.EventuallyEqual(t, api.RunDone, func() api.RunStatus {
			run = call[api.AggregationRun](t, server, http.MethodGet, runs+"/"+run.ID.String(), "admin", http.StatusOK)
			return run.Status
		})
		require.Positive(t, run.RowsDeleted)
		require.NotNil(t, run.FinishedAt)
		list := call[api.AggregationRunList](t, server, http.MethodGet, runs+"?limit=1", "admin", http.StatusOK)
		require.Len(t, list.Runs, 1)
		w.requireReference()
	})

	t.Run("a run that waits or works is not started twice", func(t *testing.T) {
		t.Parallel()
		w := aDay(t)
		s := aggregate.NewService(w.runner)
		server := serve(t, s)
		first := call[api.AggregationRun](t, server, http.MethodPost, runs, "job", http.StatusAccepted)
		second := call[api.AggregationRun](t, server, http.MethodPost, runs, "admin", http.StatusAccepted)
		require.Equal(t, api.RunWaiting, second.Status)
		require.Equal(t, first.ID, second.ID)

		var during api.AggregationRun
		asked := false
		aggregate.SetHook(w.runner, func(context.Context, string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !asked {
				asked = true
				during = call[api.AggregationRun](t, server, http.MethodPost, runs, "admin", http.StatusAccepted)
			}
			return nil
		})
		aggregate.Turn(t.Context(), s)
		require.Equal(t, first.ID, during.ID)
		require.Equal(t, api.RunRunning, during.Status)
		third := call[api.AggregationRun](t, server, http.MethodPost, runs, "admin", http.StatusAccepted)
		require.NotEqual(t, first.ID, third.ID)
	})

	t.Run("only administrators and service principals may", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		server := serve(t, aggregate.NewService(w.runner))
		for who, status := range map[string]int{"user": http.StatusForbidden, "app": http.StatusForbidden, "": http.StatusUnauthorized} {
			for _, request := range [][2]string{{http.MethodPost, runs}, {http.MethodGet, runs}, {http.MethodGet, runs + "/00000000-0000-0000-0000-000000000000"}} {
				call[api.Error](t, server, request[0], request[1], who, status)
			}
		}
		require.Zero(t, scan[int](w, `SELECT count(*) FROM aggregation_runs`))
	})

	t.Run("questions that make no sense are refused", func(t *testing.T) {
		t.Parallel()
		server := serve(t, aggregate.NewService(setup(t).runner))
		call[api.Error](t, server, http.MethodGet, runs+"?limit=0", "admin", http.StatusBadRequest)
		call[api.Error](t, server, http.MethodGet, runs+"?limit=1001", "admin", http.StatusBadRequest)
		call[api.Error](t, server, http.MethodGet, runs+"/nonsense", "admin", http.StatusBadRequest)
		call[api.Error](t, server, http.MethodGet, runs+"/7f000000-0000-4000-8000-000000000000", "admin", http.StatusNotFound)
	})

	t.Run("a request by NATS is a request", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		s := aggregate.NewService(w.runner)
		nc, err := testkit.NATS(t).Connect()
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		offer, err := s.Offer(nc, "1.0.0")
		require.NoError(t, err)
		msg, err := nc.Request(aggregate.Subject, nil, 10*time.Second)
		require.NoError(t, err)
		var run api.AggregationRun
		require.NoError(t, json.Unmarshal(msg.Data, &run))
		require.Equal(t, api.TriggerMessage, run.Trigger)
		aggregate.Turn(t.Context(), s)
		require.Equal(t, "done", scan[string](w, `SELECT status FROM aggregation_runs WHERE id = $1`, run.ID))
		require.NoError(t, offer.Close())
	})

	t.Run("the schedule does one retention run a day, whoever asks", func(t *testing.T) {
		t.Parallel()
		cfg := testConfig()
		cfg.Schedule = true
		w := setupWith(t, cfg)
		done := func() int {
			return scan[int](w, `SELECT count(*) FROM aggregation_runs WHERE kind = 'retention' AND status = 'done'`)
		}
		first, second := aggregate.NewService(w.runner), aggregate.NewService(w.newRunner(testkit.Logger(t)))
		for _, s := range []*aggregate.Service{first, second, first} {
			aggregate.Turn(t.Context(), s) // 12:30: today's run at 02:00 was never done
		}
		require.Equal(t, 1, done())
		w.clock.Set(time.Date(2026, 3, 12, 1, 59, 0, 0, time.UTC))
		aggregate.Turn(t.Context(), second)
		require.Equal(t, 1, done())
		w.clock.Set(time.Date(2026, 3, 12, 2, 0, 0, 0, time.UTC))
		aggregate.Turn(t.Context(), second)
		aggregate.Turn(t.Context(), first)
		require.Equal(t, 2, done())
		run, err := w.runner.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand})
		require.NoError(t, err)
		require.Equal(t, aggregate.Done, run.Status)
		w.clock.Set(time.Date(2026, 3, 12, 3, 0, 0, 0, time.UTC))
		aggregate.Turn(t.Context(), first)
		require.Equal(t, 3, done())
	})

	t.Run("each turn aggregates the hours that have closed", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-24*time.Hour), start.Add(24*time.Hour))
		s := aggregate.NewService(w.runner)
		w.store(w.make(20, start.Truncate(time.Hour), start))
		aggregate.Turn(t.Context(), s)
		require.Zero(t, scan[int](w, `SELECT count(*) FROM aggregated_metrics`), "the hour is open")
		w.clock.Advance(30*time.Minute + 20*time.Second)
		aggregate.Turn(t.Context(), s)
		require.Zero(t, scan[int](w, `SELECT count(*) FROM aggregated_metrics`), "the grace is not over")
		w.clock.Advance(10 * time.Second)
		aggregate.Turn(t.Context(), s)
		w.requireReference()
	})

	t.Run("a stopped run is recorded, and the next goes on", func(t *testing.T) {
		t.Parallel()
		w := aDay(t)
		s := aggregate.NewService(w.runner)
		inside := make(chan struct{})
		aggregate.SetHook(w.runner, func(ctx context.Context, name string) error {
			if name == "rows deleted" {
				close(inside)
				<-ctx.Done()
			}
			return ctx.Err()
		})
		_, err := s.Request(t.Context(), aggregate.Request{Trigger: aggregate.TriggerAPI})
		require.NoError(t, err)
		require.NoError(t, s.Start(t.Context()))
		testkit.Receive(t, "the purge", inside)
		require.NoError(t, s.Stop(t.Context()))
		require.Contains(t, scan[string](w, `SELECT failures::text FROM aggregation_runs`), "stopped before its end")
		w.settled()
		w.requireReference()
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	require.NoError(t, aggregate.DefaultConfig().Validate())
	require.Error(t, aggregate.Config{}.Validate())
	bad := aggregate.DefaultConfig()
	bad.AlertRows, bad.AggregateRetention, bad.DailyAt = 1, time.Hour, 25*time.Hour
	err := bad.Validate()
	require.ErrorContains(t, err, "row governance")
	require.ErrorContains(t, err, "aggregate retention")
	require.ErrorContains(t, err, "daily run")
}
