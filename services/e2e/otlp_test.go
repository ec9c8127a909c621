package e2e

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// requestRow is what of a request the tests of OTLP look at.
type requestRow struct {
	App, Version, Instance, Endpoint, Method string
	Status                                   int
	User, ErrorType, TraceID                 string
}

func requestsOf(t *testing.T, dsn, app string) []requestRow {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `
SELECT app, coalesce(app_version, ''), coalesce(instance, ''), endpoint, method, status_code, coalesce(user_id, ''), coalesce(error_type, ''),
       coalesce(trace_id, '')
  FROM metrics.performance_metrics WHERE app = $1 ORDER BY endpoint, method`, app)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[requestRow])
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	return found
}

// newKey makes an API key by the command line, as an operator does.
func newKey(t *testing.T, natsURL, dsn, app string) string {
	t.Helper()
	cmd := exec.Command(binary(t), "keys", "create", "--app", app)
	cmd.Env = environment("NATS_URL="+natsURL, "DATABASE_URL="+dsn)
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// TestOTLPExporter sends by OpenTelemetry's own SDK and exporter, as an app that
// has no client of ours does.
func TestOTLPExporter(t *testing.T) {
	a := newAlone(t)
	for _, tc := range []struct {
		path string
		gzip otlptracehttp.Compression
	}{{"/v1/traces", otlptracehttp.NoCompression}, {"/api/v1/otlp/v1/traces", otlptracehttp.GzipCompression}} {
		app := "otel" + strings.ReplaceAll(tc.path, "/", "-")
		exporter, err := otlptracehttp.New(t.Context(),
			otlptracehttp.WithEndpointURL(a.direct+tc.path), otlptracehttp.WithCompression(tc.gzip),
			otlptracehttp.WithHeaders(map[string]string{"X-Lakepulse-Key": newKey(t, a.natsURL(t), a.dsn(t), app)}))
		require.NoError(t, err)
		provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", app), attribute.String("service.version", "1.2"), attribute.String("service.instance.id", "pod-1"))))
		traceIDs := spanRequests(t, provider)
		require.NoError(t, provider.ForceFlush(t.Context()), "the exporter must take the answer for a success")

		t.Run("server spans sent to "+tc.path+" are requests in the database, and nothing else is", func(t *testing.T) {
			testkit.Eventually(t, "three requests", func() bool { return len(requestsOf(t, a.dsn(t), app)) >= 3 })
			want := func(endpoint, method string, status int, user, kind, id string) requestRow {
				return requestRow{app, "1.2", "pod-1", endpoint, method, status, user, kind, id}
			}
			require.Equal(t, []requestRow{
				want("/old/{id}", "POST", 404, "bo", "404", traceIDs[1]),
				want("/orders/{id}", "GET", 200, "ada", "", traceIDs[0]),
				want("/orders/{id}", "PUT", 500, "", "*url.Error", traceIDs[2]),
			}, requestsOf(t, a.dsn(t), app))
		})
		require.NoError(t, provider.Shutdown(t.Context()))
	}

	t.Run("a key that is not known is an error the exporter reports, and nothing is stored", func(t *testing.T) {
		exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(a.direct+"/v1/traces"),
			otlptracehttp.WithHeaders(map[string]string{"X-Lakepulse-Key": "lp_unknown"}))
		require.NoError(t, err)
		provider := sdk.NewTracerProvider()
		_, span := provider.Tracer("check").Start(t.Context(), "GET /", trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", "GET")))
		span.End()
		ended, ok := span.(sdk.ReadOnlySpan)
		require.True(t, ok)
		require.ErrorContains(t, exporter.ExportSpans(t.Context(), []sdk.ReadOnlySpan{ended}), "401")
		require.NoError(t, exporter.Shutdown(t.Context()))
	})
}

// spanRequests makes spans as instrumentations do: of the stable conventions, of
// those from before, of a request that failed, and three that are no request to
// this app. It returns the trace ids of the first three.
func spanRequests(t *testing.T, provider *sdk.TracerProvider) []string {
	t.Helper()
	tracer := provider.Tracer("check")
	ids := make([]string, 0, 3)
	server := func(name string, attributes ...attribute.KeyValue) trace.Span {
		_, span := tracer.Start(t.Context(), name, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
			trace.WithTimestamp(time.Now().Add(-time.Second)), trace.WithAttributes(attributes...))
		return span
	}
	span := server("GET /orders/{id}", attribute.String("http.request.method", "GET"), attribute.String("http.route", "/orders/{id}"),
		attribute.Int("http.response.status_code", 200), attribute.String("url.path", "/orders/17"), attribute.String("user.id", "ada"))
	ids = append(ids, span.SpanContext().TraceID().String())
	span.End()
	span = server("POST /old", attribute.String("http.method", "POST"), attribute.String("http.target", "/old/17?secret=x"),
		attribute.Int("http.status_code", 404), attribute.String("enduser.id", "bo"))
	ids = append(ids, span.SpanContext().TraceID().String())
	span.End()
	span = server("PUT /orders/{id}", attribute.String("http.request.method", "PUT"), attribute.String("http.route", "/orders/{id}"))
	span.RecordError(&url.Error{Op: "put", URL: "/", Err: http.ErrBodyNotAllowed})
	span.SetStatus(codes.Error, "broken")
	ids = append(ids, span.SpanContext().TraceID().String())
	span.End()

	server("GET /health", attribute.String("http.request.method", "GET"), attribute.String("url.path", "/health"),
		attribute.Int("http.response.status_code", 200)).End()
	server("rpc", attribute.String("rpc.system", "grpc")).End()
	_, client := tracer.Start(t.Context(), "GET", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("http.request.method", "GET")))
	client.End()
	return ids
}
