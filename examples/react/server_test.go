package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestRoutes(t *testing.T) {
	page := fstest.MapFS{"index.html": {Data: []byte("the page")}, "assets/index.js": {Data: []byte("the script")}}
	h := routes(nil, page) // a nil client is off
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/":                             {http.StatusOK, "the page"},
		"/orders":                       {http.StatusOK, "the page"},
		"/assets/index.js":              {http.StatusOK, "the script"},
		"/missing.js":                   {http.StatusNotFound, ""},
		"/api/orders":                   {http.StatusOK, "3 orders"},
		"/api/orders/2":                 {http.StatusOK, "coffee"},
		"/api/orders/9":                 {http.StatusNotFound, ""},
		"/api/v1/metrics/usage-events":  {http.StatusMethodNotAllowed, ""},
		"/api/v1/metrics/no-such-thing": {http.StatusNotFound, ""},
	} {
		t.Run(path, func(t *testing.T) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, http.NoBody))
			require.Equal(t, want.status, rec.Code)
			require.Contains(t, rec.Body.String(), want.body)
		})
	}
}
