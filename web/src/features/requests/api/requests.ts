import { apiUrl, getJson, type Query } from "@/api/client";
import { toRequestRow, toTrust, type RequestRow } from "@/api/map";
import type { Wire } from "@/api/wire";
import type { Trust } from "@/series/trust";

export interface Requests {
  readonly rows: readonly RequestRow[];
  /** There are more than were asked for. */
  readonly truncated: boolean;
  readonly trust: Trust;
}

/** As many as one can look through; the export has them all. */
export const mostRows = 500;

export async function loadRequests(query: Query, signal: AbortSignal): Promise<Requests> {
  const wire = await getJson<Wire<"RequestList">>("/api/v1/metrics/requests", { ...query, limit: mostRows }, signal);
  return { rows: wire.requests.map(toRequestRow), truncated: wire.truncated, trust: toTrust(wire.sources) };
}

/** Where the browser can fetch all rows of a query, streamed. */
export function exportUrl(query: Query, format: "ndjson" | "csv"): string {
  return apiUrl("/api/v1/metrics/export", { ...query, kind: "performance", format });
}
