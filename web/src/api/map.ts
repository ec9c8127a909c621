import { onGrid } from "@/series/grid";
import type { Interval } from "@/series/interval";
import { emptyPoint, enoughForP99, type Point } from "@/series/point";
import type { Precision, Trust } from "@/series/trust";

import type { Wire } from "./wire";

const date = (text: string | undefined) => (text === undefined ? null : new Date(text));

export function toTrust(wire: Wire<"Provenance">): Trust {
  return {
    completeTo: new Date(wire.complete_to),
    n: wire.n,
    percentiles: toPrecision(wire.percentiles),
    users: toPrecision(wire.users),
    rawFrom: date(wire.raw_from),
    aggregatedFrom: date(wire.aggregated_from),
    usersFrom: date(wire.users_from),
    hourAligned: wire.alignment === "hour",
    start: new Date(wire.effective_start),
    end: new Date(wire.effective_end),
  };
}

function toPrecision(wire: Wire<"Precision">): Precision {
  return { exact: wire.kind === "exact", relativeError: wire.relative_error };
}

function toPoint(wire: Wire<"DataPoint">): Point {
  const requests = wire.total_requests ?? null;
  return {
    time: new Date(wire.timestamp),
    complete: wire.complete,
    avg: wire.avg_response_time_ms ?? null,
    p50: wire.p50_response_time_ms ?? null,
    p95: wire.p95_response_time_ms ?? null,
    p99: requests !== null && requests >= enoughForP99 ? (wire.p99_response_time_ms ?? null) : null,
    requests,
    errors: wire.error_count ?? null,
    errorRate: wire.error_rate ?? null,
    activeUsers: wire.active_users ?? null,
    events: wire.total_events ?? null,
    uniqueUsers: wire.unique_users ?? null,
    eventsByType: wire.events_by_type ?? {},
  };
}

interface WireSeries {
  readonly start_time: string;
  readonly end_time: string;
  readonly interval: Interval;
  readonly data_points: readonly Wire<"DataPoint">[];
  readonly sources: Wire<"Provenance">;
}

export interface Series {
  readonly interval: Interval;
  readonly points: readonly Point[];
}

/** The points with every gap made visible. A bucket past the watermark may still receive something. */
export function toSeries(wire: WireSeries): Series {
  const completeTo = new Date(wire.sources.complete_to);
  const range = { start: new Date(wire.start_time), end: new Date(wire.end_time), interval: wire.interval };
  const points = onGrid(wire.data_points.map(toPoint), range, (time) => emptyPoint(time, time < completeTo));
  return { interval: wire.interval, points };
}

export interface Tally {
  readonly name: string;
  readonly count: number;
}

/** A `{name: count}` object as a list, most first. */
export function toTallies(wire: Readonly<Record<string, number>>): Tally[] {
  return Object.entries(wire)
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
}

export interface Person {
  readonly user: string;
  readonly requests: number;
  readonly errors: number;
  readonly events: number;
  readonly lastSeen: Date;
}

export function toPerson(wire: Wire<"UserActivity">): Person {
  return {
    user: wire.user_id,
    requests: wire.requests,
    errors: wire.errors,
    events: wire.events,
    lastSeen: new Date(wire.last_seen),
  };
}

export interface RequestRow {
  readonly id: string;
  readonly time: Date;
  readonly app: string;
  readonly endpoint: string;
  readonly method: string;
  readonly status: number;
  readonly milliseconds: number;
  readonly user: string | null;
  readonly errorType: string | null;
  readonly instance: string | null;
  readonly version: string | null;
  readonly interaction: string | null;
  readonly trace: string | null;
  readonly correlation: string | null;
}

export function toRequestRow(wire: Wire<"RequestRecord">): RequestRow {
  return {
    id: wire.id,
    time: new Date(wire.timestamp),
    app: wire.app,
    endpoint: wire.endpoint,
    method: wire.method,
    status: wire.status_code,
    milliseconds: wire.response_time_ms,
    user: wire.user_id ?? null,
    errorType: wire.error_type ?? null,
    instance: wire.instance ?? null,
    version: wire.app_version ?? null,
    interaction: wire.interaction_id ?? null,
    trace: wire.trace_id ?? null,
    correlation: wire.correlation_id ?? null,
  };
}
