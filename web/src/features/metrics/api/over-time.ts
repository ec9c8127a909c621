import { getJson, type Query } from "@/api/client";
import { toSeries, toTrust, type Series } from "@/api/map";
import type { Wire } from "@/api/wire";
import type { Trust } from "@/series/trust";

export interface OverTime extends Series {
  readonly deploys: readonly { time: Date; text: string }[];
  readonly trust: Trust;
}

export async function loadOverTime(query: Query, signal: AbortSignal): Promise<OverTime> {
  const wire = await getJson<Wire<"TimeSeries">>("/api/v1/metrics/time-series", { ...query, metric_type: "both" }, signal);
  return {
    ...toSeries(wire),
    deploys: (wire.deploys ?? []).map((deploy) => ({ time: new Date(deploy.timestamp), text: `${deploy.app} ${deploy.app_version}` })),
    trust: toTrust(wire.sources),
  };
}
