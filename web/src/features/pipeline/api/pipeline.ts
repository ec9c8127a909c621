import { getJson } from "@/api/client";
import { toTallies, type Tally } from "@/api/map";
import type { Wire } from "@/api/wire";

export interface Pipeline {
  readonly at: Date;
  /** Parts that could not be asked. */
  readonly unavailable: readonly string[];
  readonly stream: { readonly messages: number; readonly bytes: number; readonly maxBytes: number | null } | null;
  readonly lag: { readonly messages: number; readonly seconds: number } | null;
  readonly rates: { readonly accepted: number; readonly stored: number; readonly windowSeconds: number } | null;
  readonly since: Date;
  readonly accepted: number;
  readonly stored: number;
  readonly refused: readonly Tally[];
  readonly clientDropped: number;
  readonly alreadySummarised: number;
  readonly deadLetters: number;
  readonly watermark: Date | null;
  readonly purgeLine: { readonly time: Date; readonly target: Date | null; readonly heldBy: string | null } | null;
  readonly nextRun: Date | null;
  readonly runs: readonly Run[];
  readonly tables: readonly Table[];
  readonly writers: readonly Writer[];
}

export interface Run {
  readonly id: string;
  readonly kind: string;
  readonly trigger: string;
  readonly by: string;
  readonly status: Wire<"RunStatus">;
  readonly started: Date | null;
  readonly milliseconds: number | null;
  readonly hoursDone: number;
  readonly hoursFailed: number;
  readonly hoursDiffering: number;
  readonly read: number;
  readonly aggregated: number;
  readonly deleted: number;
  readonly aggregatesDeleted: number;
  readonly failures: readonly string[];
}

export interface Table {
  readonly name: string;
  readonly rows: number;
  readonly bytes: number | null;
  readonly level: Wire<"GovernanceLevel">;
  readonly warningAt: number;
  readonly alertAt: number;
}

export interface Writer {
  readonly instance: string;
  readonly lastSeen: Date;
  readonly stored: number;
  readonly redelivered: number;
  readonly version: string;
  readonly problem: string;
}

const date = (text: string | undefined) => (text === undefined ? null : new Date(text));

export async function loadPipeline(signal: AbortSignal): Promise<Pipeline> {
  const wire = await getJson<Wire<"Pipeline">>("/api/v1/pipeline", {}, signal);
  const { stream, lag, rates, counters, purge_line: purgeLine } = wire;
  return {
    at: new Date(wire.server_time),
    unavailable: wire.unavailable,
    stream: stream === undefined ? null : { messages: stream.messages, bytes: stream.bytes, maxBytes: stream.max_bytes ?? null },
    lag: lag === undefined ? null : { messages: lag.messages, seconds: lag.seconds },
    rates: rates === undefined ? null : { accepted: rates.accepted_per_second, stored: rates.stored_per_second, windowSeconds: rates.window_seconds },
    since: new Date(counters.since),
    accepted: counters.accepted,
    stored: counters.stored,
    refused: toTallies(counters.refused),
    clientDropped: counters.client_dropped,
    alreadySummarised: counters.already_summarised ?? 0,
    deadLetters: wire.dead_letters,
    watermark: date(wire.watermark),
    purgeLine: purgeLine === undefined ? null : { time: new Date(purgeLine.time), target: date(purgeLine.target), heldBy: purgeLine.held_by ?? null },
    nextRun: date(wire.next_run_at),
    runs: wire.runs.map(toRun),
    tables: wire.tables.map(toTable),
    writers: wire.writers.map(toWriter),
  };
}

function toRun(wire: Wire<"AggregationRun">): Run {
  return {
    id: wire.id,
    kind: wire.kind,
    trigger: wire.trigger,
    by: wire.triggered_by ?? "",
    status: wire.status,
    started: date(wire.started_at),
    milliseconds: wire.duration_ms ?? null,
    hoursDone: wire.hours_done,
    hoursFailed: wire.hours_failed,
    hoursDiffering: wire.hours_differing ?? 0,
    read: wire.rows_read,
    aggregated: wire.rows_aggregated,
    deleted: wire.rows_deleted,
    aggregatesDeleted: wire.aggregates_deleted,
    failures: (wire.failures ?? []).map(({ time_bucket: hour, message }) => (hour === undefined ? message : `${hour}: ${message}`)),
  };
}

function toTable(wire: Wire<"TableState">): Table {
  return {
    name: wire.table,
    rows: wire.rows,
    bytes: wire.bytes ?? null,
    level: wire.level,
    warningAt: wire.warning_at,
    alertAt: wire.alert_at,
  };
}

function toWriter(wire: Wire<"WriterState">): Writer {
  return {
    instance: wire.instance,
    lastSeen: new Date(wire.last_seen),
    stored: wire.stored,
    redelivered: wire.redelivered ?? 0,
    version: wire.version ?? "",
    problem: wire.problem ?? "",
  };
}
