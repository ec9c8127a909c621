import { getJson, type Query } from "@/api/client";
import { toPerson, toSeries, toTallies, toTrust, type Person, type Series, type Tally } from "@/api/map";
import type { Wire } from "@/api/wire";
import type { Trust } from "@/series/trust";

export interface EventDetail extends Series {
  readonly events: number;
  readonly users: number;
  /** Null when no event says whether it went well. */
  readonly successRate: number | null;
  readonly pages: readonly Tally[];
  readonly elements: readonly Tally[];
  readonly people: readonly Person[];
  readonly trust: Trust;
}

export async function loadEvent(query: Query, signal: AbortSignal): Promise<EventDetail> {
  const wire = await getJson<Wire<"EventDetail">>("/api/v1/metrics/event", query, signal);
  return {
    ...toSeries(wire),
    events: wire.metrics.total_events,
    users: wire.metrics.unique_users,
    successRate: wire.metrics.success_rate ?? null,
    pages: toTallies(wire.pages),
    elements: toTallies(wire.elements),
    people: wire.users.map(toPerson),
    trust: toTrust(wire.sources),
  };
}
