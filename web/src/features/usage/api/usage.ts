import { getJson, type Query } from "@/api/client";
import { toPerson, toSeries, toTallies, toTrust, type Person, type Series, type Tally } from "@/api/map";
import type { Wire } from "@/api/wire";
import { onGrid } from "@/series/grid";
import type { Interval } from "@/series/interval";
import { emptyPoint, type Point } from "@/series/point";
import type { Trust } from "@/series/trust";

export interface Usage {
  readonly events: number;
  readonly users: number;
  readonly activeNow: number;
  /** Null when no event says whether it went well. */
  readonly successRate: number | null;
  readonly previous: { readonly events: number; readonly users: number } | null;
  readonly types: readonly Tally[];
  readonly pages: readonly Tally[];
  readonly elements: readonly Tally[];
  readonly people: readonly Person[];
  readonly interval: Interval;
  readonly activeUsers: readonly Point[];
  readonly trust: Trust;
}

export async function loadUsage(query: Query, signal: AbortSignal): Promise<Usage> {
  const wire = await getJson<Wire<"Usage">>("/api/v1/metrics/usage", { ...query, compare: true }, signal);
  const previous = wire.previous?.metrics;
  return {
    events: wire.metrics.total_events,
    users: wire.metrics.unique_users,
    activeNow: wire.metrics.active_users_current_hour,
    successRate: wire.metrics.success_rate ?? null,
    previous: previous === undefined ? null : { events: previous.total_events, users: previous.unique_users },
    types: toTallies(wire.event_distribution),
    pages: toTallies(wire.page_views),
    elements: toTallies(wire.elements),
    people: wire.top_users.map(toPerson),
    interval: wire.interval,
    activeUsers: toActiveUsers(wire),
    trust: toTrust(wire.sources),
  };
}

function toActiveUsers(wire: Wire<"Usage">): Point[] {
  const range = { start: new Date(wire.start_time), end: new Date(wire.end_time), interval: wire.interval };
  const completeTo = new Date(wire.sources.complete_to);
  const points = wire.active_users.map(
    (one): Point => ({ ...emptyPoint(new Date(one.timestamp), one.complete), activeUsers: one.active_users }),
  );
  return onGrid(points, range, (time) => emptyPoint(time, time < completeTo));
}

export interface Events extends Series {
  readonly trust: Trust;
}

export async function loadEvents(query: Query, signal: AbortSignal): Promise<Events> {
  const wire = await getJson<Wire<"TimeSeries">>("/api/v1/metrics/time-series", { ...query, metric_type: "usage" }, signal);
  return { ...toSeries(wire), trust: toTrust(wire.sources) };
}
