package query

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
)

// Every route takes exactly the parameters of the contract: one that only the
// contract has would be refused, one that only the code has would be undocumented.
func TestRoutesTakeTheParametersOfTheContract(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	require.NoError(t, err)
	routes := setup(t).service.Routes()
	require.NotEmpty(t, routes)
	for _, route := range routes {
		operation := doc.Paths.Value(route.Path).GetOperation(route.Method)
		var want []string
		for _, p := range operation.Parameters {
			if p.Value.In == openapi3.ParameterInQuery {
				want = append(want, p.Value.Name)
			}
		}
		require.ElementsMatch(t, want, route.QueryParameters(), route.Path)
		require.NotNil(t, operation.Responses.Value("400"), "%s can refuse a parameter", route.Path)
	}
}

// An unknown parameter is refused on every route, with the name that was meant.
func TestUnknownParametersOfEveryRoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, pairs := range reads {
		got := b.refused(http.StatusBadRequest, path, append(slices.Clone(pairs), "rnage", "7d")...)
		require.Equal(t, "rnage", got["details"].(map[string]any)["field"], path)
		require.Equal(t, "unknown_parameter", got["details"].(map[string]any)["rule"], path)
		if strings.HasPrefix(path, "/api/v1/metrics/") {
			got = b.refused(http.StatusBadRequest, path, append(slices.Clone(pairs), "range", "7d")...)
			require.Contains(t, got["message"], `did you mean "time_range"?`, path)
		}
	}
	got := b.refused(http.StatusBadRequest, "/api/v1/metrics/performance", "application", "shop")
	require.Contains(t, got["message"], `did you mean "app"?`)
	b.refused(http.StatusBadRequest, "/api/v1/me", "who", "me")
	b.refused(http.StatusBadRequest, "/api/v1/pipeline/dead/1", "limit", "1")
	b.refused(http.StatusBadRequest, "/api/v1/metrics/usage", "app", "shop", "app", "desk")
}
