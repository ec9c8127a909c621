package api_test

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
)

func TestSpec(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	require.NoError(t, err)

	t.Run("is a valid document", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, doc.Validate(t.Context()))
	})

	t.Run("names every response's correlation id", func(t *testing.T) {
		t.Parallel()
		eachResponse(doc, func(operation, status string, response *openapi3.Response) {
			require.Contains(t, response.Headers, "X-Correlation-ID", "%s %s", operation, status)
		})
	})

	t.Run("gives every error the one error body", func(t *testing.T) {
		t.Parallel()
		eachResponse(doc, func(operation, status string, response *openapi3.Response) {
			if status < "400" || operation == "getReady" {
				return
			}
			schema := response.Content.Get("application/json").Schema.Value
			require.Subset(t, schema.Required, []string{"error", "message", "status_code"}, "%s %s", operation, status)
			require.Contains(t, schema.Properties, "details", "%s %s", operation, status)
		})
	})

	t.Run("says when to try again wherever it answers 503", func(t *testing.T) {
		t.Parallel()
		eachResponse(doc, func(operation, status string, response *openapi3.Response) {
			if status == "503" && operation != "getReady" {
				require.Contains(t, response.Headers, "Retry-After", operation)
			}
		})
	})

	t.Run("never answers 422", func(t *testing.T) {
		t.Parallel()
		eachResponse(doc, func(operation, status string, _ *openapi3.Response) {
			require.NotEqual(t, "422", status, operation)
		})
	})

	t.Run("lets tokens through the Apps proxy, which passes them under /api/ only", func(t *testing.T) {
		t.Parallel()
		open := map[string]bool{"/v1/traces": true, "/v1/logs": true, "/v1/metrics": true, "/health": true, "/ready": true}
		for path := range doc.Paths.Map() {
			require.True(t, strings.HasPrefix(path, "/api/v1/") || open[path], path)
		}
	})
}

func eachResponse(doc *openapi3.T, visit func(operation, status string, response *openapi3.Response)) {
	for _, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				visit(operation.OperationID, status, response.Value)
			}
		}
	}
}
