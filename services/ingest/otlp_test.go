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
	return b.tracesOf(t, "dev", path, kind, body)
}

func (b bundle) tracesOf(t *testing.T, caller, path, kind string, body []byte) (*httptest.ResponseRecorder, *collector.ExportTraceServiceResponse) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Test-Caller", caller)
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
		resp := b.spans(t, span(1, text("http.request.method", "GET"), number("http.response.status_code", 42)),
			span(2, text("http.request.method", "GET"), number("http.response.status_code", 200)))
		require.EqualValues(t, 1, resp.GetPartialSuccess().GetRejectedSpans())
		require.Contains(t, resp.GetPartialSuccess().GetErrorMessage(), "status_code")
		require.Len(t, b.log.performance(), 1)
	})

	t.Run("a span without a status is a 500 with the exception's type", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		s := span(1, text("http.request.method", "GET"))
		s.Events = []*trace.Span_Event{{Name: "other", Attributes: []*common.KeyValue{text("exception.type", "None")}},
			{Name: "exception", Attributes: []*common.KeyValue{text("exception.type", "KeyError")}}}
		b.spans(t, s, span(2, text("http.request.method", "GET")))
		require.Equal(t, 500, b.log.performance()[0].StatusCode)
		require.Equal(t, "KeyError", b.log.performance()[0].ErrorType)
		require.Equal(t, "500", b.log.performance()[1].ErrorType)
	})

	t.Run("the path comes from the URL, and the name stands in for it", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		b.spans(t, span(1, text("http.method", "GET"), text("http.url", "http://shop.example/orders/17?x=1")),
			span(2, text("http.method", "GET"), text("http.url", "http://shop.example/health")),
			span(3, text("http.method", "GET"), text("url.full", "https://shop.example/a")), span(4, text("http.method", "GET")))
		var endpoints []string
		for _, p := range b.log.performance() {
			endpoints = append(endpoints, p.Endpoint)
		}
		require.Equal(t, []string{"/orders/{id}", "/a", "GET /orders/{id}"}, endpoints)
	})

	t.Run("methods that HTTP does not define are one", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		b.spans(t, span(1, text("http.method", "ZAP")), span(2, text("http.request.method", "_OTHER"), text("http.request.method_original", "ZIP")), span(3, text("http.method", "get")))
		var methods []string
		for _, p := range b.log.performance() {
			methods = append(methods, p.Method)
		}
		require.Equal(t, []string{"_OTHER", "_OTHER", "GET"}, methods)
	})

	t.Run("the user comes from the span or a captured header", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		captured := &common.KeyValue{Key: "http.request.header.x-forwarded-email", Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{
			ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{{Value: &common.AnyValue_StringValue{StringValue: "eve@example.com"}}}}}}}
		b.spans(t, span(1, text("http.method", "GET"), captured), span(2, text("http.method", "GET"), captured, text("enduser.id", "bob")))
		require.Equal(t, "eve@example.com", b.log.performance()[0].UserID)
		require.Equal(t, "bob", b.log.performance()[1].UserID)
	})

	t.Run("a service without a name is the key's app", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"", "unknown_service", "unknown_service:node"} {
			b := setup(t)
			req := export(span(1, text("http.method", "GET")))
			req.ResourceSpans[0].Resource.Attributes = []*common.KeyValue{text("service.name", name)}
			body, err := proto.Marshal(req)
			require.NoError(t, err)
			w, resp := b.tracesOf(t, "key", "/v1/traces", "application/x-protobuf", body)
			require.Equal(t, http.StatusOK, w.Code)
			require.Nil(t, resp.GetPartialSuccess())
			require.Equal(t, "orders", b.log.performance()[0].App)
		}
	})

	t.Run("a server's span inside of another's is part of its request", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		outer := span(1, text("http.method", "GET"), text("url.path", "/x"), number("http.status_code", 200))
		between := span(2)
		between.Kind, between.ParentSpanId = trace.Span_SPAN_KIND_INTERNAL, outer.GetSpanId()
		inner := span(3, text("http.method", "GET"), text("http.route", "/x/{id}"), number("http.status_code", 200))
		inner.ParentSpanId = between.GetSpanId()
		apart := span(4, text("http.method", "GET"), number("http.status_code", 200))
		apart.ParentSpanId, apart.Flags = bytes.Repeat([]byte{9}, 8), 0x300
		late := span(5, text("http.method", "GET"), number("http.status_code", 200))
		late.ParentSpanId, late.Flags = bytes.Repeat([]byte{8}, 8), 0x100
		b.spans(t, inner, between, outer, apart, late)
		kept := b.log.performance()
		require.Len(t, kept, 2, "the outer one, and the one with a remote parent")
		require.Equal(t, "/x/{id}", kept[0].Endpoint, "the inner one knew the route")
	})

	t.Run("what is wrong with one span costs no other", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		var spans []*trace.Span
		for i := range 10 {
			spans = append(spans, span(byte(i+1), text("http.method", "GET"), text("http.route", "/marker"), text("user.id", "marker")))
		}
		body, err := proto.Marshal(export(spans...))
		require.NoError(t, err)
		body = bytes.Replace(body, []byte("/marker"), []byte("/\xff\xferker"), 1)
		body = bytes.Replace(body, []byte("\x06marker"), []byte("\x7fmarker"), 1) // a length that leads out of its value
		w, resp := b.traces(t, "/v1/traces", "application/x-protobuf", body)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Nil(t, resp.GetPartialSuccess(), "an attribute that cannot be read is not there")
		require.Len(t, b.log.performance(), 10)
		require.Equal(t, "/\uFFFD"+"rker", b.log.performance()[0].Endpoint)

		bad := span(7, text("http.method", "GET"))
		bad.Name = "broken"
		body, err = proto.Marshal(export(bad, span(8, text("http.method", "GET"))))
		require.NoError(t, err)
		body = bytes.Replace(body, []byte("\x06broken"), []byte("\x7fbroken"), 1)
		w, resp = b.traces(t, "/v1/traces", "application/x-protobuf", body)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.EqualValues(t, 1, resp.GetPartialSuccess().GetRejectedSpans())
		require.Contains(t, resp.GetPartialSuccess().GetErrorMessage(), "protobuf")
		require.Len(t, b.log.performance(), 11)
	})

	t.Run("in JSON neither", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		start := now.Add(-time.Minute).UnixNano()
		one := func(id, more string) string {
			return fmt.Sprintf(`{"traceId":"%s","spanId":"%s","name":"x","kind":"SPAN_KIND_SERVER","startTimeUnixNano":"%d","endTimeUnixNano":"%d",
				"attributes":[{"key":"http.method","value":{"stringValue":"GET"}}%s]}`, strings.Repeat("ab", 16), id, start, start+5_000_000, more)
		}
		w, resp := b.traces(t, "/v1/traces", "application/json", []byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
			"scopeSpans":[{"spans":[`+one("0101010101010101", `,{"key":"load","value":{"doubleValue":"NaN"}}`)+`,`+one("xyz", "")+`,7,`+
			one("0202020202020202", `,{"key":"user.id","value":{"stringValue":"\ud800"}}`)+`]}]}]}`))
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.EqualValues(t, 2, resp.GetPartialSuccess().GetRejectedSpans(), resp.GetPartialSuccess().GetErrorMessage())
		require.Contains(t, resp.GetPartialSuccess().GetErrorMessage(), "spanId")
		require.Len(t, b.log.performance(), 2)
	})

	t.Run("more spans than anybody exports are refused whole", func(t *testing.T) {
		t.Parallel()
		body, err := proto.Marshal(export(make([]*trace.Span, 20_001)...))
		require.NoError(t, err)
		w, _ := setup(t, keyless).traces(t, "/v1/traces", "application/x-protobuf", body)
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	})

	t.Run("logs and metrics are answered as OTLP asks", func(t *testing.T) {
		t.Parallel()
		b := setup(t, keyless)
		for _, path := range []string{"/v1/logs", "/v1/metrics", "/api/v1/otlp/v1/logs", "/api/v1/otlp/v1/metrics"} {
			for kind, body := range map[string]string{"application/x-protobuf": "", "application/json": "{}"} {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("anything"))
				r.Header.Set("Test-Caller", "dev")
				r.Header.Set("Content-Type", kind)
				b.handler.ServeHTTP(w, r)
				require.Equal(t, http.StatusOK, w.Code)
				require.Equal(t, kind, w.Header().Get("Content-Type"))
				require.Equal(t, body, w.Body.String())
			}
		}
		require.Empty(t, b.log.batches)
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
