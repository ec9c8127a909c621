import { getJson, type Query } from "@/api/client";
import { toTrust } from "@/api/map";
import type { Wire } from "@/api/wire";
import { enoughForP99 } from "@/series/point";
import type { Trust } from "@/series/trust";

export interface Totals {
  readonly avg: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly requests: number;
  readonly errors: number;
  readonly errorRate: number;
  readonly activeUsers: number;
  readonly anonymousRequests: number;
}

export interface EndpointRow {
  readonly app: string;
  readonly endpoint: string;
  readonly method: string;
  readonly avg: number;
  readonly p50: number;
  readonly p95: number;
  /** Null with too few samples for it to mean anything. */
  readonly p99: number | null;
  readonly requests: number;
  readonly errors: number;
  readonly errorRate: number;
  readonly trend: readonly number[];
}

export interface Performance {
  readonly start: Date;
  readonly end: Date;
  readonly totals: Totals;
  /** The period of the same length before; null where it is not wholly kept. */
  readonly previous: Totals | null;
  readonly endpoints: readonly EndpointRow[];
  readonly trust: Trust;
}

export async function loadPerformance(query: Query, signal: AbortSignal): Promise<Performance> {
  const wire = await getJson<Wire<"Performance">>("/api/v1/metrics/performance", { ...query, compare: true }, signal);
  return {
    start: new Date(wire.start_time),
    end: new Date(wire.end_time),
    totals: toTotals(wire.metrics),
    previous: wire.previous === undefined ? null : toTotals(wire.previous.metrics),
    endpoints: wire.endpoints.map(toEndpointRow),
    trust: toTrust(wire.sources),
  };
}

function toTotals(wire: Wire<"PerformanceMetrics">): Totals {
  return {
    avg: wire.avg_response_time_ms,
    p50: wire.p50_response_time_ms,
    p95: wire.p95_response_time_ms,
    p99: wire.p99_response_time_ms,
    requests: wire.total_requests,
    errors: wire.error_count,
    errorRate: wire.error_rate,
    activeUsers: wire.active_users,
    anonymousRequests: wire.anonymous_requests,
  };
}

function toEndpointRow(wire: Wire<"EndpointMetrics">): EndpointRow {
  return {
    app: wire.app,
    endpoint: wire.endpoint,
    method: wire.method,
    avg: wire.avg_response_time_ms,
    p50: wire.p50_response_time_ms,
    p95: wire.p95_response_time_ms,
    p99: wire.request_count < enoughForP99 ? null : wire.p99_response_time_ms,
    requests: wire.request_count,
    errors: wire.error_count,
    errorRate: wire.error_rate,
    trend: wire.trend,
  };
}
