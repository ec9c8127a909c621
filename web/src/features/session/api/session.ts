import { getJson, type Query } from "@/api/client";
import type { Wire } from "@/api/wire";
import { defaultLimits, type Limits } from "@/state/range";
import type { Viewer } from "@/state/viewer";

export interface Session extends Viewer {
  readonly user: string;
}

export async function loadSession(signal: AbortSignal): Promise<Session> {
  const me = await getJson<Wire<"Me">>("/api/v1/me", {}, signal);
  return {
    user: me.user_id,
    admin: me.is_admin,
    readableApps: me.readable_apps ?? [],
    development: me.auth_mode === "dev",
    limits: toLimits(me.limits),
  };
}

function toLimits(wire: Wire<"Limits"> | undefined): Limits {
  if (wire === undefined) return defaultLimits;
  return {
    rawRetentionMs: wire.raw_retention_seconds * 1000,
    retentionMs: wire.aggregate_retention_seconds * 1000,
    maxRangeMs: wire.max_range_seconds * 1000,
  };
}

export async function loadApps(query: Query, signal: AbortSignal): Promise<string[]> {
  const { apps } = await getJson<Wire<"AppList">>("/api/v1/apps", query, signal);
  return apps.map(({ app }) => app).sort();
}
