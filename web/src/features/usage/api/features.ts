import { getJson, type Query } from "@/api/client";
import { toTrust } from "@/api/map";
import type { Wire } from "@/api/wire";
import type { Trust } from "@/series/trust";

/** Something people click or submit, and how long they waited for what it caused. */
export interface Feature {
  readonly app: string;
  readonly page: string;
  readonly element: string;
  readonly type: string;
  readonly interactions: number;
  readonly users: number;
  readonly requests: number;
  readonly errorRate: number;
  readonly p50: number;
  readonly p95: number;
  readonly slowest: string;
}

export interface Features {
  readonly rows: readonly Feature[];
  readonly trust: Trust;
}

export async function loadFeatures(query: Query, signal: AbortSignal): Promise<Features> {
  const wire = await getJson<Wire<"FeatureList">>("/api/v1/metrics/features", query, signal);
  return { rows: wire.features.map(toFeature), trust: toTrust(wire.sources) };
}

function toFeature(wire: Wire<"Feature">): Feature {
  return {
    app: wire.app,
    page: wire.page_name ?? "",
    element: wire.element_id,
    type: wire.event_type,
    interactions: wire.interactions,
    users: wire.users,
    requests: wire.requests,
    errorRate: wire.error_rate,
    p50: wire.p50_response_time_ms,
    p95: wire.p95_response_time_ms,
    slowest: `${wire.slowest_method ?? ""} ${wire.slowest_endpoint ?? ""}`.trim(),
  };
}
