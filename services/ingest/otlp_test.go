package ingest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value int64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: value}}}
}

func span(id byte, attributes ...*common.KeyValue) *trace.Span {
	start := uint64(now.Add(-time.Minute).UnixNano())
	return &trace.Span{
		TraceId: bytes.Repeat([]byte{0xab}, 16), SpanId: bytes.Repeat([]byte{id}, 8), Name: "GET /orders/{id}",
		Kind: trace.Span_SPAN_KIND_SERVER, StartTimeUnixNano: start, EndTimeUnixNano: start + 12_500_000, Attributes: attributes,
	}
}

func export(spans ...*trace.Span) *collector.ExportTraceServiceRequest {
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "shop/orders"), text("service.version", "1.2"), text("service.instance.id", "pod-1")}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: spans}},
	}}}
}

func (b bundle) traces(t *testing.T, path, kind string, body []byte) (*httptest.ResponseRecorder, *collector.ExportTraceServiceResponse) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Test-Caller", "dev")
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	resp := &collector.ExportTraceServiceResponse{}
	if w.Code == http.StatusOK {
		require.Equal(t, kind, w.Header().Get("Content-Type"))
		if kind == "application/json" {
			require.NoError(t, protojson.Unmarshal(w.Body.Bytes(), resp))
		} else {
			require.NoError(t, proto.Unmarshal(w.Body.Bytes(), resp))
		}
	}
	return w, resp
}

func (b bundle) spans(t *testing.T, spans ...*trace.Span) *collector.ExportTraceServiceResponse {
	t.Helper()
	body, err := proto.Marshal(export(spans...))
	require.NoError(t, err)
	w, resp := b.traces(t, "/v1/traces", "application/x-protobuf", body)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	return resp
}

func TestTraces(t *testing.T) {
	t.Parallel()

	t.Run("a server span of the stable conventions is a metric", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		resp := b.spans(t, span(1, text("http.request.method", "GET"), text("http.route", "/orders/{id}"), number("http.response.status_code", 503),
			text("error.type", "Overload"), text("user.id", "ada"), text("url.path", "/orders/17")))
		require.Nil(t, resp.GetPartialSuccess())
		p := b.log.performance()[0]
		require.Equal(t, "shop-orders", p.App)
		require.Equal(t, "/orders/{id}", p.Endpoint)
		require.Equal(t, "GET", p.Method)
		require.Equal(t, 503, p.StatusCode)
		require.InDelta(t, 12.5, p.ResponseTimeMS, 1e-9)
		require.Equal(t, "Overload", p.ErrorType)
		require.Equal(t, "ada", p.UserID)
		require.Equal(t, "1.2", p.AppVersion)
		require.Equal(t, "pod-1", p.Instance)
		require.Equal(t, strings.Repeat("ab", 16), p.TraceID)
		require.Equal(t, now.Add(-time.Minute), p.Timestamp)
	})

	t.Run("the conventions from before are read too", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		b.spans(t, span(1, text("http.method", "POST"), text("http.target", "/orders/17?x=1"), number("http.status_code", 201), text("enduser.id", "bob")))
		p := b.log.performance()[0]
		require.Equal(t, "/orders/{id}", p.Endpoint, "a path without a route is reduced")
		require.Equal(t, 201, p.StatusCode)
		require.Equal(t, "bob", p.UserID)
	})

	t.Run("a span that is sent again is the same event", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		one := span(1, text("http.request.method", "GET"), number("http.response.status_code", 200))
		b.spans(t, one)
		b.spans(t, one, span(2, text("http.request.method", "GET"), number("http.response.status_code", 200)))
		kept := b.log.performance()
		require.Equal(t, kept[0].ID, kept[1].ID)
		require.NotEqual(t, kept[0].ID, kept[2].ID)
	})

	t.Run("other spans and excluded paths are accepted and ignored", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		outgoing := span(1, text("http.request.method", "GET"), number("http.response.status_code", 200))
		outgoing.Kind = trace.Span_SPAN_KIND_CLIENT
		resp := b.spans(t, outgoing, span(2, text("rpc.system", "grpc")), span(3, text("http.request.method", "GET"), text("url.path", "/health"), number("http.response.status_code", 200)))
		require.Nil(t, resp.GetPartialSuccess())
		require.Empty(t, b.log.batches)
	})

	t.Run("a refused span is a partial success with its reason", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		resp := b.spans(t, span(1, text("http.request.method", "GET")), span(2, text("http.request.method", "GET"), number("http.response.status_code", 200)))
		require.EqualValues(t, 1, resp.GetPartialSuccess().GetRejectedSpans())
		require.Contains(t, resp.GetPartialSuccess().GetErrorMessage(), "status_code")
		require.Len(t, b.log.performance(), 1)
	})

	t.Run("a failed span without a status is a 500", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		s := span(1, text("http.request.method", "GET"))
		s.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR}
		s.Events = []*trace.Span_Event{{Name: "exception", Attributes: []*common.KeyValue{text("exception.type", "KeyError")}}}
		b.spans(t, s)
		require.Equal(t, 500, b.log.performance()[0].StatusCode)
		require.Equal(t, "KeyError", b.log.performance()[0].ErrorType)
	})

	t.Run("JSON with hexadecimal ids says the same", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		start := now.Add(-time.Minute).UnixNano()
		body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
			"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"0101010101010101","name":"x","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":%d,
			"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"http.route","value":{"stringValue":"/a"}},
			{"key":"http.response.status_code","value":{"intValue":"200"}}],"status":{}}]}]}]}`, strings.Repeat("ab", 16), start, start+5_000_000)
		w, _ := b.traces(t, "/api/v1/otlp/v1/traces", "application/json", []byte(body))
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		p := b.log.performance()[0]
		require.Equal(t, "shop", p.App)
		require.InDelta(t, 5, p.ResponseTimeMS, 1e-9)

		other := setup(t, keyless)
		other.spans(t, span(1, text("http.request.method", "GET"), number("http.response.status_code", 200)))
		require.Equal(t, p.ID, other.log.performance()[0].ID, "one span, one id, in either encoding")
	})

	t.Run("bodies that are no export request", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []string{"application/x-protobuf", "application/json", "text/html"} {
			w, _ := setup(t, keyless).traces(t, "/v1/traces", kind, []byte("\xff<html>"))
			require.Equal(t, http.StatusBadRequest, w.Code, kind)
		}
	})

	t.Run("the log is away", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		b.log.err = errAway
		body, err := proto.Marshal(export(span(1, text("http.request.method", "GET"), number("http.response.status_code", 200))))
		require.NoError(t, err)
		w, _ := b.traces(t, "/v1/traces", "application/x-protobuf", body)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	})
}
