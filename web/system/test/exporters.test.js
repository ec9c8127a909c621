// OpenTelemetry's own JavaScript exporters, JSON and protobuf, against the real binary.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ROOT_CONTEXT, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { OTLPTraceExporter as JSONExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

import { startLakepulse, until } from "../lakepulse.js";

let lakepulse;
before(async () => (lakepulse = await startLakepulse()));
after(() => lakepulse?.close());

/** Spans as instrumentations make them: stable conventions, those from before, one that failed, three that are no requests. */
function makeSpans(tracer) {
  const make = (name, kind, attributes, finish = () => {}) => {
    const span = tracer.startSpan(name, { kind, attributes, startTime: Date.now() - 1_000 }, ROOT_CONTEXT);
    finish(span);
    span.end();
    return span.spanContext().traceId;
  };
  const traces = [
    make("POST /old", SpanKind.SERVER, { "http.method": "POST", "http.target": "/old/17?secret=x", "http.status_code": 404, "enduser.id": "bo" }),
    make("GET /orders/:id", SpanKind.SERVER, {
      "http.request.method": "GET", "http.route": "/orders/:id", "url.path": "/orders/17", "http.response.status_code": 200, "user.id": "ada",
      "http.request.header.x-lakepulse-interaction-id": ["click-1"],
    }),
    make("PUT /orders/:id", SpanKind.SERVER, { "http.request.method": "PUT", "http.route": "/orders/:id" }, (span) => {
      span.recordException(new TypeError("secret"));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }),
  ];
  make("GET /health", SpanKind.SERVER, { "http.request.method": "GET", "url.path": "/health", "http.response.status_code": 200 });
  make("rpc", SpanKind.SERVER, { "rpc.system": "grpc" });
  make("GET", SpanKind.CLIENT, { "http.request.method": "GET", "http.response.status_code": 200 });
  return traces;
}

for (const [name, Exporter, path] of [
  ["JSON", JSONExporter, "/v1/traces"],
  ["protobuf", ProtobufExporter, "/api/v1/otlp/v1/traces"],
]) {
  for (const compression of ["none", "gzip"]) {
    test(`${name}, compression ${compression}: server spans are requests in the database, and nothing else is`, async () => {
      const app = `otel-${name}-${compression}`;
      const results = [];
      const exporter = new Exporter({
        url: lakepulse.origin + path,
        headers: { "X-Lakepulse-Key": await lakepulse.key(app) },
        compression,
      });
      const send = exporter.export.bind(exporter);
      exporter.export = (spans, done) => send(spans, (result) => (results.push(result), done(result)));
      const provider = new BasicTracerProvider({
        resource: resourceFromAttributes({ "service.name": app, "service.version": "1.2", "service.instance.id": "pod-1" }),
        spanProcessors: [new BatchSpanProcessor(exporter)],
      });
      const traces = makeSpans(provider.getTracer("check"));
      await provider.shutdown();
      assert.deepEqual(results.map(({ code, error }) => [code, error]), [[0, undefined]]);

      const rows = await until("three requests are stored", async () => {
        const found = await lakepulse.rows("performance", app);
        return found.length >= 3 && found;
      });
      const seen = rows
        .map((row) => [row.endpoint, row.method, row.status_code, row.user_id, row.error_type, row.interaction_id, row.trace_id])
        .sort((a, b) => (`${a[0]} ${a[1]}` < `${b[0]} ${b[1]}` ? -1 : 1));
      assert.deepEqual(seen.map((row) => row.map((value) => value ?? null)), [
        ["/old/{id}", "POST", 404, "bo", "404", null, traces[0]],
        ["/orders/:id", "GET", 200, "ada", null, "click-1", traces[1]],
        ["/orders/:id", "PUT", 500, null, "TypeError", null, traces[2]],
      ]);
      for (const row of rows) {
        assert.deepEqual([row.app, row.app_version, row.instance], [app, "1.2", "pod-1"]);
        assert.ok(row.response_time_ms >= 999, `${row.response_time_ms} ms`);
      }
    });
  }
}

test("a key that is not known is an error the exporter reports, and nothing is stored", async () => {
  const exporter = new ProtobufExporter({ url: `${lakepulse.origin}/v1/traces`, headers: { "X-Lakepulse-Key": "lp_unknown" } });
  const spans = [];
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "otel-unknown" }),
    spanProcessors: [{ onStart() {}, onEnd: (span) => spans.push(span), forceFlush: async () => {}, shutdown: async () => {} }],
  });
  makeSpans(provider.getTracer("check"));
  const result = await new Promise((resolve) => exporter.export(spans, resolve));
  assert.equal(result.code, 1);
  assert.equal(result.error.code, 401);
  await exporter.shutdown();
  assert.deepEqual(await lakepulse.rows("performance", "otel-unknown"), []);
});
