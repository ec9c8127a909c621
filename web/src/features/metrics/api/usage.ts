import { getJson, type Query } from "@/api/client";
import { toTallies, toTrust, type Tally } from "@/api/map";
import type { Wire } from "@/api/wire";
import type { Trust } from "@/series/trust";

export interface UsageSummary {
  readonly events: number;
  readonly types: readonly Tally[];
  readonly pages: readonly Tally[];
  readonly trust: Trust;
}

export async function loadUsageSummary(query: Query, signal: AbortSignal): Promise<UsageSummary> {
  // Who the users are and when they came is on the usage page; asking for it here would be most of the work.
  const wire = await getJson<Wire<"Usage">>("/api/v1/metrics/usage", { ...query, users: "false" }, signal);
  return {
    events: wire.metrics.total_events,
    types: toTallies(wire.event_distribution),
    pages: toTallies(wire.page_views),
    trust: toTrust(wire.sources),
  };
}
