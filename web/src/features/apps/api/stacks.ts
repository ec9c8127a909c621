/** A way to send, and the lines to paste. */
export interface Stack {
  readonly name: string;
  readonly lines: (origin: string, key: string) => string;
}

const environment = (origin: string, key: string) => `LAKEPULSE_URL=${origin}\nLAKEPULSE_API_KEY=${key}\n`;

export const stacks: readonly Stack[] = [
  { name: "curl", lines: (origin, key) => `curl ${origin}/api/v1/metrics/performance-events \\\n  -H 'X-Lakepulse-Key: ${key}' -H 'Content-Type: application/json' \\\n  -d '{"events":[{"timestamp":"'$(date -u +%FT%TZ)'","endpoint":"/hello","method":"GET","status_code":200,"response_time_ms":12.5}]}'` },
  { name: "FastAPI", lines: (origin, key) => `${environment(origin, key)}\nfrom lakepulse import LakepulseMiddleware\napp.add_middleware(LakepulseMiddleware)` },
  { name: "Flask", lines: (origin, key) => `${environment(origin, key)}\nfrom lakepulse import init_flask\ninit_flask(app)` },
  { name: "Go", lines: (origin, key) => `${environment(origin, key)}\nlp, err := lakepulse.New(lakepulse.FromEnv())\nhandler := lp.Middleware(mux)` },
  { name: "OpenTelemetry", lines: (origin, key) => `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=${origin}/v1/traces\nOTEL_EXPORTER_OTLP_TRACES_HEADERS=X-Lakepulse-Key=${key}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf` },
];
