package services_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

func TestSettings(t *testing.T) {
	t.Parallel()

	t.Run("a role that is told another retention names both and does not start", func(t *testing.T) {
		t.Parallel()
		nats, database := testkit.NATS(t).URL(), testkit.Database(t)
		first := outside(t, nats, database)
		first.SetRetention(720*time.Hour, 2160*time.Hour)
		run(t, services.Writer, first)
		await(t, first, "/ready", ready)
		testkit.Eventually(t, "the settings to reach the log", func() bool {
			_, found := bucket(t, nats)
			return found
		})
		for _, target := range []services.Target{services.Ingest, services.Query, services.Aggregate, services.Writer} {
			other := outside(t, nats, database)
			other.SetRetention(168*time.Hour, 2160*time.Hour)
			err := services.Run(t.Context(), target, other, testkit.Logger(t))
			require.ErrorContains(t, err, "720h", "%s", target)
			require.ErrorContains(t, err, "168h", "%s", target)
		}
		silent := outside(t, nats, database)
		run(t, services.Query, silent)
		await(t, silent, "/ready", ready)
		await(t, silent, "/api/v1/me", func(_ int, body map[string]any) bool {
			limits, ok := body["limits"].(map[string]any)
			return ok && limits["raw_retention_seconds"] == (720*time.Hour).Seconds()
		})
	})

	t.Run("while the retention grows, ingest refuses what is purged", func(t *testing.T) {
		t.Parallel()
		nats, database := testkit.NATS(t).URL(), testkit.Database(t)
		conn, err := pgx.Connect(t.Context(), database)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close(t.Context())) })
		line := time.Now().Add(-8 * 24 * time.Hour).Truncate(time.Hour)
		_, err = conn.Exec(t.Context(), `SET search_path = metrics`)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `UPDATE purge_line SET purged_before = $1`, line)
		require.NoError(t, err)
		_, err = metricsdb.RecordSettings(t.Context(), conn, settings.Values{RawRetention: 720 * time.Hour}, "test")
		require.NoError(t, err)
		writer, ingest := outside(t, nats, database), outside(t, nats, "")
		run(t, services.Writer, writer)
		testkit.Eventually(t, "the purge line to reach the log", func() bool {
			state, found := bucket(t, nats)
			return found && state.PurgedBefore.Equal(line)
		})
		run(t, services.Ingest, ingest)
		await(t, ingest, "/ready", ready)
		post := func(age time.Duration) (int, string) {
			t.Helper()
			code, body := postOne(t, ingest, time.Now().Add(-age))
			return code, body
		}
		code, body := post(10 * 24 * time.Hour)
		require.Equal(t, http.StatusBadRequest, code, body)
		require.Contains(t, body, "timestamp")
		code, body = post(7*24*time.Hour + time.Hour)
		require.Equal(t, http.StatusAccepted, code, body)
	})

	t.Run("a start with defaults takes nothing away from the log", func(t *testing.T) {
		t.Parallel()
		nats, database := testkit.NATS(t).URL(), testkit.Database(t)
		first := outside(t, nats, database)
		first.Topology.MaxBytes = 1 << 30
		first.Tell(settings.Values{RawRetention: 720 * time.Hour})
		stop := run(t, services.Writer, first)
		await(t, first, "/ready", ready)
		stop()
		second := outside(t, nats, "")
		run(t, services.Ingest, second)
		await(t, second, "/ready", ready)
		require.Equal(t, stream.Shape{Replicas: 1, MaxBytes: 1 << 30, MaxAge: 744 * time.Hour}, shape(t, nats))
	})
}

func connectJS(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := stream.Connect(stream.ConnectConfig{URL: url, Name: t.Name()}, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func bucket(t *testing.T, url string) (settings.State, bool) {
	t.Helper()
	kv, err := connectJS(t, url).KeyValue(t.Context(), settings.Bucket)
	if err != nil {
		return settings.State{}, false
	}
	state, found, err := settings.Read(t.Context(), kv)
	require.NoError(t, err)
	return state, found
}

func shape(t *testing.T, url string) stream.Shape {
	t.Helper()
	s, found, err := stream.ReadShape(t.Context(), connectJS(t, url))
	require.NoError(t, err)
	require.True(t, found)
	return s
}

// postOne sends one request that happened at a moment.
func postOne(t *testing.T, cfg services.Config, at time.Time) (int, string) {
	t.Helper()
	event := fmt.Sprintf(`{"events":[{"timestamp":%q,"app":"shop","endpoint":"/","method":"GET","status_code":200,"response_time_ms":1}]}`,
		at.UTC().Format(time.RFC3339Nano))
	resp, err := http.Post("http://"+cfg.Listen+"/api/v1/metrics/performance-events", "application/json", strings.NewReader(event))
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}
