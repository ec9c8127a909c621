// Package apitest holds answers against the HTTP contract, openapi.yaml, in the
// tests of those who give them.
//
// Invariant: whatever a wrapped handler answers under a path of the contract
// must be in the contract: its status, its headers and every field of its body.
package apitest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"

	"github.com/lakepulse/lakepulse/api"
)

var contract = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/x-protobuf", openapi3filter.FileBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		return nil, err
	}
	closeObjects(doc)
	return gorillamux.NewRouter(doc)
})

// closeObjects makes a property that the contract does not name an error: the
// contract lets readers ignore such, but writers have no business with them.
func closeObjects(doc *openapi3.T) {
	no := false
	for _, ref := range doc.Components.Schemas {
		s := ref.Value
		if s.Type.Is("object") && len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
			s.AdditionalProperties.Has = &no
		}
	}
}

// Check fails the test when an answer to a request is not what the contract
// says. Paths outside of the contract, which hold the dashboard, are let be.
func Check(t testing.TB, method string, target *url.URL, status int, header http.Header, body []byte) {
	t.Helper()
	router, err := contract()
	if !assert.NoError(t, err, "load the contract") {
		return
	}
	// A request of our own: the contract does not care for the host it came to.
	req := httptest.NewRequestWithContext(t.Context(), method, target.RequestURI(), nil)
	route, pathParams, err := router.FindRoute(req)
	if err != nil {
		underContract := strings.HasPrefix(target.Path, "/api/") || strings.HasPrefix(target.Path, "/v1/")
		if underContract && status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			assert.Fail(t, "not in the contract", "%s %s answered %d: %v", method, target.Path, status, err)
		}
		return
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: pathParams, Route: route},
		Status:                 status,
		Header:                 header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	assert.NoError(t, err, "%s %s answered %d, which breaks the contract: %s", method, target, status, shorten(body))
	assert.NotEmpty(t, header.Get("X-Correlation-ID"), "%s %s carries no correlation id", method, target)
	if strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		assert.True(t, json.Valid(body), "%s %s answered no JSON: %s", method, target, shorten(body))
	}
}

// Handler returns next with every answer checked.
func Handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := *r.URL
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		Check(t, r.Method, &target, rec.status, w.Header(), rec.body.Bytes())
	})
}

// recorder keeps a copy of what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach deadlines and flushing.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func shorten(body []byte) string {
	const most = 2000
	if len(body) > most {
		return string(body[:most]) + "…"
	}
	return string(body)
}
