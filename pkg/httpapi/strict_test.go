package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

type refusal struct {
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// respond sends a request to a route and decodes an error answer.
func respond(t *testing.T, route httpapi.Route, method, target, body string) (int, refusal) {
	t.Helper()
	rec := httptest.NewRecorder()
	handler := httpapi.NewHandler(httpapi.HandlerParams{Routes: []httpapi.Route{route}, Log: testkit.Logger(t)})
	handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
	var r refusal
	if rec.Code != http.StatusOK {
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &r), rec.Body.String())
	}
	return rec.Code, r
}

func TestUnknownQueryParametersAreRefused(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, auth.Caller, struct{}) (struct{}, error) { return struct{}{}, nil }
	strict := httpapi.Endpoint[struct{}, struct{}]{Method: http.MethodGet, Path: "/numbers", Access: httpapi.Public,
		Query: []string{"time_range", "app", "endpoint", "start", "end"}, Decode: httpapi.NoRequest, Execute: nothing}.Route()
	bare := httpapi.Streamed[struct{}]{Method: http.MethodGet, Path: "/numbers", Access: httpapi.Public, Decode: httpapi.NoRequest,
		Write: func(http.ResponseWriter, *http.Request, auth.Caller, struct{}) error { return nil }}.Route()

	for query, want := range map[string]struct {
		field, rule, nearest, message string
	}{
		"range=7d":               {"range", "unknown_parameter", "time_range", `did you mean "time_range"?`},
		"timerange=7d":           {"timerange", "unknown_parameter", "time_range", `did you mean "time_range"?`},
		"application=shop":       {"application", "unknown_parameter", "app", `did you mean "app"?`},
		"App=shop":               {"App", "unknown_parameter", "app", `did you mean "app"?`},
		"ende=x":                 {"ende", "unknown_parameter", "end", `did you mean "end"?`},
		"colour=red":             {"colour", "unknown_parameter", "", "there are time_range, app"},
		"app=shop&app=desk":      {"app", "once", "", "app must be given once"},
		"app=shop&time_range=%z": {"query", "encoding", "", "hexadecimal"},
		"app=a;end=b":            {"query", "encoding", "", "not encoded"},
	} {
		status, r := respond(t, strict, http.MethodGet, "/numbers?"+query, "")
		require.Equal(t, http.StatusBadRequest, status, query)
		require.Equal(t, want.field, r.Details["field"], query)
		require.Equal(t, want.rule, r.Details["rule"], query)
		require.Contains(t, r.Message, want.message, query)
		if want.nearest != "" {
			require.Equal(t, want.nearest, r.Details["nearest"], query)
		}
	}
	for _, query := range []string{"", "?", "?app=shop", "?app=shop&end=%20"} {
		status, _ := respond(t, strict, http.MethodGet, "/numbers"+query, "")
		require.Equal(t, http.StatusOK, status, query)
	}
	status, r := respond(t, bare, http.MethodGet, "/numbers?app=shop", "")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, r.Message, "this path takes none")
}

func TestUnknownMembersOfBodiesAreRefused(t *testing.T) {
	t.Parallel()
	type body struct {
		App    string `json:"app"`
		Note   string `json:"note,omitempty"`
		Hidden string `json:"-"`
	}
	var got body
	route := httpapi.Endpoint[body, struct{}]{Method: http.MethodPost, Path: "/apps", Access: httpapi.Public, Decode: httpapi.DecodeJSON[body],
		Execute: func(_ context.Context, _ auth.Caller, b body) (struct{}, error) { got = b; return struct{}{}, nil }}.Route()
	for text, want := range map[string]struct{ field, rule, message string }{
		`{"application":"shop"}`:      {"application", "unknown_member", `did you mean "app"?`},
		`{"App":"shop"}`:              {"App", "unknown_member", `did you mean "app"?`},
		`{"app":"shop","Hidden":"x"}`: {"Hidden", "unknown_member", "there are app, note"},
		`{"app":7}`:                   {"app", "type", "app must not be a JSON number"},
		`[]`:                          {"body", "json_object", "must be a JSON object"},
		`null`:                        {"body", "json_object", "must be a JSON object"},
		`{"app":"shop"} {}`:           {"body", "json_object", "must be a JSON object"},
		`{`:                           {"body", "json_object", "must be a JSON object"},
	} {
		status, r := respond(t, route, http.MethodPost, "/apps", text)
		require.Equal(t, http.StatusBadRequest, status, text)
		require.Equal(t, want.field, r.Details["field"], text)
		require.Equal(t, want.rule, r.Details["rule"], text)
		require.Contains(t, r.Message, want.message, text)
	}
	status, _ := respond(t, route, http.MethodPost, "/apps", `{"note":"`+strings.Repeat("x", 64<<10)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _ = respond(t, route, http.MethodPost, "/apps", ` {"app":"shop","note":"n"} `)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, body{App: "shop", Note: "n"}, got)
	for _, empty := range []string{"", " ", "{}"} {
		status, _ = respond(t, route, http.MethodPost, "/apps", empty)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, body{}, got)
	}
}
