package query

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// Slow questions of administrators delay neither counts nor readiness, and those
// that find no connection are told when to come back.
func TestSlowQuestionsDelayNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.InFlight = 4; c.Timeout = time.Hour })
	b.events(event.Usage{Timestamp: before(time.Minute), UserID: "admin@example.com"})
	gate, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), `LOCK TABLE performance_metrics IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)

	const questions = 25
	answers := make(chan *httptest.ResponseRecorder, questions)
	for range questions {
		go func() { answers <- b.get("/api/v1/metrics/performance") }()
	}
	testkit.Eventually(t, "as many questions run as may", func() bool {
		var waiting int
		err := gate.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'performance_metrics'::regclass`).Scan(&waiting)
		return err == nil && waiting == 4
	})
	for range 10 {
		require.Equal(t, http.StatusOK, b.get("/api/v1/metrics/usage/count").Code)
		require.NoError(t, b.small.Ping(t.Context()), "readiness asks on the same pool")
	}
	for range questions - 4 {
		rec := testkit.Receive(t, "a question that is refused", answers)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Equal(t, "5", rec.Header().Get("Retry-After"))
		require.Contains(t, rec.Body.String(), "too many questions at once")
	}
	require.NoError(t, gate.Commit(context.WithoutCancel(t.Context())))
	for range 4 {
		require.Equal(t, http.StatusOK, testkit.Receive(t, "an answer", answers).Code)
	}
	require.Equal(t, http.StatusOK, b.get("/api/v1/metrics/performance").Code, "and the slots are free again")
}
