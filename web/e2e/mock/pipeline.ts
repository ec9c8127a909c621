import type { components } from "../../src/api/schema.gen.ts";

type Wire = components["schemas"];

const ago = (now: Date, seconds: number) => new Date(now.getTime() - 1000 * seconds).toISOString();

export function pipeline(now: Date): Wire["Pipeline"] {
  return {
    server_time: now.toISOString(),
    unavailable: [],
    stream: { name: "METRICS", messages: 48_211, bytes: 412_000_000, max_bytes: 10_000_000_000 },
    lag: { messages: 3, in_flight: 2, seconds: 0.4 },
    rates: { window_seconds: 60, accepted_per_second: 412.6, stored_per_second: 411.9 },
    counters: {
      since: ago(now, 86_400),
      accepted: 4_120_934,
      stored: 4_120_902,
      refused: { "timestamp in the future": 12, "response_time_ms negative": 3 },
      client_dropped: 41,
      already_summarised: 2,
    },
    dead_letters: 3,
    watermark: ago(now, 0.8),
    purge_line: { time: ago(now, 8 * 86_400), target: ago(now, 7 * 86_400), held_by: "writer lag" },
    next_run_at: new Date(now.getTime() + 9 * 3_600_000).toISOString(),
    runs: [run(now, 0), run(now, 1), { ...run(now, 2), status: "partial", hours_failed: 1, failures: [{ message: "hour 2024-05-01T03:00:00Z: numeric field overflow" }] }],
    tables: [
      { table: "performance_metrics", rows: 612_440, bytes: 181_000_000, level: "ok", warning_at: 800_000, alert_at: 1_000_000 },
      { table: "usage_events", rows: 871_201, bytes: 240_000_000, level: "warning", warning_at: 800_000, alert_at: 1_000_000 },
      { table: "aggregated_metrics", rows: 88_120, bytes: 64_000_000, level: "ok", warning_at: 800_000, alert_at: 1_000_000 },
    ],
    writers: [
      { instance: "writer-7d9f", last_seen: ago(now, 2), stored: 2_060_400, redelivered: 0, version: "1.0.0" },
      { instance: "writer-b21c", last_seen: ago(now, 3), stored: 2_060_502, redelivered: 14, version: "1.0.0" },
    ],
  };
}

function run(now: Date, index: number): Wire["AggregationRun"] {
  return {
    id: `018f0000-0000-7000-8000-00000000000${index}`,
    kind: index === 0 ? "rollup" : "retention",
    trigger: index === 0 ? "schedule" : "api",
    triggered_by: index === 0 ? "lakepulse" : "lakepulse-job",
    status: "done",
    started_at: ago(now, 3600 * (1 + 24 * index)),
    finished_at: ago(now, 3600 * (1 + 24 * index) - 4),
    duration_ms: 4120 + index,
    hours_done: 1 + 23 * index,
    hours_failed: 0,
    hours_verified: 24,
    hours_differing: 0,
    rows_read: 91_220,
    rows_aggregated: 91_220,
    rows_deleted: index === 0 ? 0 : 88_001,
    aggregates_deleted: index === 0 ? 0 : 960,
  };
}

function letter(now: Date, sequence: number): Wire["DeadLetter"] {
  return {
    sequence,
    reason: "schema version 9 is newer than this build understands",
    first_seen: ago(now, 7200),
    subject: "metrics.usage.orders-api",
    size: 412,
    events: 2,
    code_version: "1.0.0",
  };
}

export function deadLetters(now: Date): Wire["DeadLetterList"] {
  return { count: 3, dead_letters: [3, 2, 1].map((sequence) => letter(now, sequence)) };
}

export function deadLetter(now: Date): Wire["DeadLetterContent"] {
  return {
    dead_letter: letter(now, 3),
    headers: { "Lakepulse-Schema": ["9"], "Nats-Msg-Id": ["018f0000"] },
    encoding: "text",
    content: JSON.stringify({ events: [{ event_type: "page_view", page_name: "/home" }] }),
  };
}
