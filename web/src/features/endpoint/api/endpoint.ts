import { getJson, type Query } from "@/api/client";
import { toPerson, toRequestRow, toSeries, toTrust, type Person, type RequestRow, type Series } from "@/api/map";
import type { Wire } from "@/api/wire";
import { enoughForP99 } from "@/series/point";
import type { Trust } from "@/series/trust";

export interface StatusCount {
  readonly status: number;
  readonly count: number;
}

export interface ErrorCount {
  /** Empty for errors that named no type. */
  readonly type: string;
  readonly count: number;
}

export interface EndpointDetail extends Series {
  readonly requests: number;
  readonly errors: number;
  readonly errorRate: number;
  readonly avg: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number;
  readonly p95: number;
  /** Null with too few samples for it to mean anything. */
  readonly p99: number | null;
  readonly users: number;
  readonly statuses: readonly StatusCount[];
  readonly errorTypes: readonly ErrorCount[];
  readonly usersAffected: number;
  readonly people: readonly Person[];
  readonly slowest: readonly RequestRow[];
  readonly trust: Trust;
}

export async function loadEndpoint(query: Query, signal: AbortSignal): Promise<EndpointDetail> {
  const wire = await getJson<Wire<"EndpointDetail">>("/api/v1/metrics/endpoint", query, signal);
  const { metrics } = wire;
  return {
    ...toSeries(wire),
    requests: metrics.total_requests,
    errors: metrics.error_count,
    errorRate: metrics.error_rate,
    avg: metrics.avg_response_time_ms,
    min: metrics.min_response_time_ms,
    max: metrics.max_response_time_ms,
    p50: metrics.p50_response_time_ms,
    p95: metrics.p95_response_time_ms,
    p99: metrics.total_requests < enoughForP99 ? null : metrics.p99_response_time_ms,
    users: metrics.active_users,
    statuses: Object.entries(wire.status_codes).map(([status, count]) => ({ status: Number(status), count })),
    errorTypes: Object.entries(wire.error_types).map(([type, count]) => ({ type, count })),
    usersAffected: wire.users_affected,
    people: wire.users.map(toPerson),
    slowest: wire.slowest_requests.map(toRequestRow),
    trust: toTrust(wire.sources),
  };
}
