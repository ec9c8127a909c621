import type { Query } from "@/api/client";

import { intervalsFor, rangeQuery, viewerZone } from "./range";
import type { View } from "./view";

/** What every metrics read has in common: range, app and how to count. */
export function commonQuery(view: View): Query {
  return {
    ...rangeQuery(view.range),
    app: view.app,
    include_anonymous: view.includeAnonymous,
    exact: view.exact,
  };
}

/** For reads that answer in buckets: their width, and where the viewer's days begin. */
export function bucketQuery(view: View): Query {
  const possible = intervalsFor(view.range);
  const interval = possible.find((one) => one === view.bucket) ?? possible[0];
  return { ...commonQuery(view), interval, time_zone: interval === "daily" ? viewerZone() : undefined };
}

export const keyOf = (query: Query): string => JSON.stringify(query);
