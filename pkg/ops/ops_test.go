package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/ops"
)

func ask(t *testing.T, h http.Handler, path string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body := map[string]any{}
	if w.Header().Get("Content-Type") == "application/json" {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	}
	return w.Code, body
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := ops.NewHealth("1.2.3")
	var away error
	h.Add("database", func(context.Context) error { return away })
	h.Add("event log", func(context.Context) error { return nil })
	handler := ops.NewHandler(h, prometheus.NewRegistry())

	code, body := ask(t, handler, "/ready")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, map[string]any{"database": "ok", "event log": "ok"}, body["parts"])

	away = errors.New("the database does not answer")
	code, body = ask(t, handler, "/ready")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "not_ready", body["status"])
	require.Equal(t, "the database does not answer", body["parts"].(map[string]any)["database"])
	code, body = ask(t, handler, "/health")
	require.Equal(t, http.StatusOK, code, "health asks nobody")
	require.Equal(t, "1.2.3", body["version"])

	away = nil
	h.Stopping()
	code, body = ask(t, handler, "/ready")
	require.Equal(t, http.StatusServiceUnavailable, code, "a shutdown turns traffic away first")
	require.Equal(t, "stopping", body["status"])

	code, _ = ask(t, handler, "/metrics")
	require.Equal(t, http.StatusOK, code)
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := ops.NewLogger(&out, "warn", "json")
	require.NoError(t, err)
	log.Info("not this")
	log.Warn("this", "n", 1)
	require.Contains(t, out.String(), `"msg":"this"`)
	require.NotContains(t, out.String(), "not this")
	_, err = ops.NewLogger(&out, "loud", "json")
	require.ErrorContains(t, err, "loud")
	_, err = ops.NewLogger(&out, "info", "xml")
	require.ErrorContains(t, err, "xml")
}
