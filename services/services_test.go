package services_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// outside returns a configuration for roles that find NATS and Postgres outside.
func outside(t *testing.T, nats, database string) services.Config {
	t.Helper()
	cfg := services.DefaultConfig()
	cfg.Version, cfg.Auth.Mode = "test", auth.ModeDev
	cfg.Listen, cfg.OpsListen = testkit.FreeAddr(t), testkit.FreeAddr(t)
	cfg.NATS.URL, cfg.Database.URL = nats, database
	return cfg
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, target := range services.Targets() {
		t.Run(string(target)+" has all it needs", func(t *testing.T) {
			t.Parallel()
			options, err := services.Options(target, outside(t, "nats://127.0.0.1:1", "postgres://127.0.0.1:1/x"), testkit.Logger(t))
			require.NoError(t, err)
			require.NoError(t, fx.ValidateApp(options...))
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		target services.Target
		change func(*services.Config)
		says   string
	}{
		"dev authentication stays on loopback": {services.Standalone, func(c *services.Config) { c.Listen = "0.0.0.0:8080" }, "loopback"},
		"roles need a log":                     {services.Writer, func(c *services.Config) { c.NATS.URL = "" }, "NATS_URL"},
		"roles need a database":                {services.Query, func(c *services.Config) { c.Database.URL = "" }, "DATABASE_URL"},
		"databricks needs a workspace":         {services.All, func(c *services.Config) { c.Auth.Mode, c.Auth.Host = auth.ModeDatabricks, "" }, "DATABRICKS_HOST"},
		"a target must exist":                  {"everything", func(*services.Config) {}, "no target"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := outside(t, "nats://127.0.0.1:1", "postgres://127.0.0.1:1/x")
			c.change(&cfg)
			_, err := services.Options(c.target, cfg, testkit.Logger(t))
			require.ErrorContains(t, err, c.says)
		})
	}

	t.Run("ingest needs no database", func(t *testing.T) {
		t.Parallel()
		cfg := outside(t, "nats://127.0.0.1:1", "")
		_, err := services.Options(services.Ingest, cfg, testkit.Logger(t))
		require.NoError(t, err)
	})
}

// run starts a target and returns a function that stops it and waits.
func run(t *testing.T, target services.Target, cfg services.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- services.Run(ctx, target, cfg, testkit.Logger(t)) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, testkit.Receive(t, string(target)+" to stop", done))
	}
	t.Cleanup(stop)
	return stop
}

func await(t *testing.T, cfg services.Config, path string, ok func(code int, body map[string]any) bool) {
	t.Helper()
	testkit.Eventually(t, path, func() bool {
		code, body := get(t, cfg, path)
		return ok(code, body)
	})
}

func get(t *testing.T, cfg services.Config, path string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cfg.Listen+path, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { require.NoError(t, resp.Body.Close()) }()
	require.NotEmpty(t, resp.Header.Get("X-Correlation-ID"), "every answer can be found in the log")
	body := map[string]any{}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	return resp.StatusCode, body
}

func ready(code int, _ map[string]any) bool { return code == http.StatusOK }

func send(t *testing.T, cfg services.Config, events int) {
	t.Helper()
	list := make([]string, events)
	for i := range list {
		list[i] = fmt.Sprintf(`{"timestamp":%q,"app":"shop","endpoint":"/orders/{id}","method":"GET","status_code":200,"response_time_ms":%d,"user_id":"u%d"}`,
			time.Now().UTC().Format(time.RFC3339Nano), i+1, i)
	}
	resp, err := http.Post("http://"+cfg.Listen+"/api/v1/metrics/performance-events", "application/json",
		strings.NewReader(`{"events":[`+strings.Join(list, ",")+`]}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
}

// requests counts what the API says of the app "shop".
func requests(n float64) func(int, map[string]any) bool {
	return func(code int, body map[string]any) bool {
		if code != http.StatusOK {
			return false
		}
		metrics, _ := body["metrics"].(map[string]any)
		return metrics["total_requests"] == n
	}
}

const shop = "/api/v1/metrics/performance?app=shop"

func TestStandalone(t *testing.T) {
	t.Parallel()
	cfg := services.DefaultConfig()
	cfg.Version, cfg.Auth.Mode, cfg.DataDir = "test", auth.ModeDev, testkit.DataDir(t)
	cfg.Listen, cfg.OpsListen = testkit.FreeAddr(t), testkit.FreeAddr(t)

	stop := run(t, services.Standalone, cfg)
	await(t, cfg, "/ready", ready)
	send(t, cfg, 3)
	await(t, cfg, shop, requests(3))

	t.Run("one data directory is one standalone's", func(t *testing.T) {
		second := cfg
		second.Listen, second.OpsListen = testkit.FreeAddr(t), testkit.FreeAddr(t)
		err := services.Run(t.Context(), services.Standalone, second, testkit.Logger(t))
		require.ErrorContains(t, err, "in use")
	})

	t.Run("it measures itself", func(t *testing.T) {
		await(t, cfg, "/api/v1/metrics/performance?app=lakepulse", func(_ int, body map[string]any) bool {
			list, _ := body["endpoints"].([]any)
			for _, e := range list {
				if m, _ := e.(map[string]any); m["endpoint"] == "/api/v1/metrics/performance" {
					return true
				}
			}
			return false
		})
	})

	t.Run("stopped and started again, the data is still there", func(t *testing.T) {
		stop()
		again := run(t, services.Standalone, cfg)
		await(t, cfg, "/ready", ready)
		await(t, cfg, shop, requests(3))
		again()
	})
}

func TestRolesApart(t *testing.T) {
	t.Parallel()
	nats, database := testkit.NATS(t).URL(), testkit.Database(t)
	ingest, writer, query, aggregate := outside(t, nats, ""), outside(t, nats, database), outside(t, nats, database), outside(t, nats, database)
	run(t, services.Ingest, ingest)
	run(t, services.Writer, writer)
	run(t, services.Query, query)
	run(t, services.Aggregate, aggregate)
	for _, cfg := range []services.Config{ingest, writer, query, aggregate} {
		await(t, cfg, "/ready", ready)
		code, body := get(t, cfg, "/health")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok", body["status"])
	}
	send(t, ingest, 5)
	await(t, query, shop, requests(5))
}
