package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
)

// collector is a stand-in that keeps the bodies it gets.
type collector struct {
	mu     sync.Mutex
	bodies []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/lakepulse.js" {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "tracker")
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.bodies = append(c.bodies, r.URL.Path+" "+string(raw))
	c.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"events_received":1}`)
}

func TestTheShop(t *testing.T) {
	seen := &collector{}
	srv := httptest.NewServer(seen)
	defer srv.Close()
	t.Setenv("LAKEPULSE_URL", srv.URL)
	t.Setenv("LAKEPULSE_API_KEY", "")
	cfg := configuration(nil)
	cfg.NoGzip = true
	lp, err := lakepulse.New(cfg)
	require.NoError(t, err)
	h := lp.Middleware(routes(lp, cfg.URL))
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
		return rec
	}
	require.Contains(t, ask(http.MethodGet, "/", "").Body.String(), "/tracker.js")
	require.Equal(t, "tracker", ask(http.MethodGet, "/tracker.js", "").Body.String())
	require.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/orders/2", "").Code)
	require.Equal(t, http.StatusNotFound, ask(http.MethodGet, "/api/orders/9", "").Code)
	require.Equal(t, http.StatusOK, ask(http.MethodPost, "/api/reports", "").Code)
	relayed := ask(http.MethodPost, "/api/v1/metrics/usage-events", `{"events":[{"event_type":"x","user_id":"spoof"}]}`)
	require.Equal(t, http.StatusAccepted, relayed.Code)
	require.NoError(t, lp.Close(t.Context()))

	all := strings.Join(seen.bodies, "\n")
	require.Contains(t, all, `"endpoint":"/api/orders/{order}","method":"GET","status_code":404`)
	require.Contains(t, all, `"event_type":"query_executed","user_id":"report@example.com"`)
	require.Contains(t, all, `"user_id":"dev@localhost"`)
	require.NotContains(t, all, "spoof")
}
