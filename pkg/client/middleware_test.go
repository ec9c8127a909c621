package client

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// one serves a single GET through a fresh client and returns what was stored of it.
func one(t *testing.T, h http.Handler, target string, cfg func(*Config), change ...func(*http.Request)) event.Performance {
	t.Helper()
	f := newFakeIngest(t)
	var changes []func(*Config)
	if cfg != nil {
		changes = append(changes, cfg)
	}
	lp := start(t, f, changes...)
	get(t, lp.Middleware(h), target, change...)
	closeFully(t, lp)
	require.Len(t, f.stored(), 1)
	return f.stored()[0]
}

func TestMiddlewareRecordsARequest(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{item}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	p := one(t, mux, "/items/7", nil)
	require.Equal(t, "/items/{item}", p.Endpoint)
	require.Equal(t, http.StatusTeapot, p.StatusCode)
	require.Equal(t, "418", p.ErrorType)
	require.Equal(t, "shop", p.App)
	require.NotEmpty(t, p.Instance)
	require.EqualValues(t, 1, *p.Seq)
}
