package apitest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api/apitest"
)

// verdict is a test that only remembers whether it has failed.
type verdict struct {
	testing.TB

	failed bool
}

func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Helper()               {}

func TestCheck(t *testing.T) {
	t.Parallel()
	const count = `{"count":1,"since":"2026-01-01T00:00:00Z","time_range":"24h","start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-02T00:00:00Z"}`
	for name, c := range map[string]struct {
		path, body, correlation string
		status                  int
		breaks                  bool
	}{
		"what the contract says":         {"/api/v1/metrics/usage/count", count, "1", 200, false},
		"an error of the contract":       {"/api/v1/metrics/usage/count", `{"error":"x","message":"y","status_code":400,"details":{}}`, "1", 400, false},
		"a field that is missing":        {"/api/v1/metrics/usage/count", `{"count":1}`, "1", 200, true},
		"a field that nobody knows":      {"/api/v1/metrics/usage/count", count[:len(count)-1] + `,"more":1}`, "1", 200, true},
		"a number below its bound":       {"/api/v1/metrics/usage/count", `{"count":-1` + count[10:], "1", 200, true},
		"a status that is not foreseen":  {"/api/v1/metrics/usage/count", `{}`, "1", 418, true},
		"no correlation id":              {"/api/v1/metrics/usage/count", count, "", 200, true},
		"a path that is not foreseen":    {"/api/v1/metrics/weather", `{}`, "1", 200, true},
		"that there is no such path":     {"/api/v1/metrics/weather", `{}`, "1", 404, false},
		"the dashboard, out of contract": {"/index.html", `<html>`, "1", 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Content-Type": {"application/json"}}
			if c.correlation != "" {
				header.Set("X-Correlation-ID", c.correlation)
			}
			v := &verdict{TB: t}
			apitest.Check(v, http.MethodGet, &url.URL{Path: c.path}, c.status, header, []byte(c.body))
			require.Equal(t, c.breaks, v.failed)
		})
	}
}
