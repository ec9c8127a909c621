import { count, durationText, percent } from "@/format/number";
import type { Point } from "@/series/point";

/** One series of a chart: what it is called, how it is drawn, and which number of a point it shows. */
export interface Series {
  readonly key: string;
  readonly name: string;
  /** A CSS variable; a series keeps its hue on every page. */
  readonly colour: string;
  readonly kind: "line" | "bar";
  readonly dash?: string;
  readonly value: (point: Point) => number | null;
  readonly show: (value: number | null) => string;
}

export const latencySeries: readonly Series[] = [
  { key: "p50", name: "p50", colour: "var(--series-p50)", kind: "line", value: (point) => point.p50, show: durationText },
  { key: "p95", name: "p95", colour: "var(--series-p95)", kind: "line", value: (point) => point.p95, show: durationText },
  { key: "p99", name: "p99", colour: "var(--series-p99)", kind: "line", value: (point) => point.p99, show: durationText },
  { key: "avg", name: "avg", colour: "var(--series-avg)", kind: "line", dash: "4 3", value: (point) => point.avg, show: durationText },
];

const succeeded = (point: Point) => (point.requests === null ? null : point.requests - (point.errors ?? 0));

/** Stacked: errors lie on top of what went well, so that the height is all requests. */
export const requestSeries: readonly Series[] = [
  { key: "succeeded", name: "succeeded", colour: "var(--series-requests)", kind: "bar", value: succeeded, show: count },
  { key: "errors", name: "errors", colour: "var(--series-errors)", kind: "bar", value: (point) => point.errors, show: count },
];

export const errorRateSeries: Series = {
  key: "error_rate",
  name: "error rate",
  colour: "var(--series-errors)",
  kind: "line",
  value: (point) => point.errorRate,
  show: percent,
};

export const activeUsersSeries: Series = {
  key: "active_users",
  name: "active users",
  colour: "var(--series-users)",
  kind: "bar",
  value: (point) => point.activeUsers,
  show: count,
};

const eventColours = ["var(--event-1)", "var(--event-2)", "var(--event-3)", "var(--event-4)"];

/** Events over time, one series for each of the most frequent types and one for the rest. */
export function eventSeries(types: readonly string[]): Series[] {
  const named = types.slice(0, eventColours.length).map((type, index): Series => ({
    key: type,
    name: type,
    colour: eventColours[index] ?? "var(--event-other)",
    kind: "bar",
    value: (point) => point.eventsByType[type] ?? null,
    show: count,
  }));
  if (types.length <= eventColours.length) return named;
  const rest = new Set(types.slice(eventColours.length));
  return [...named, { key: "other", name: "other", colour: "var(--event-other)", kind: "bar", value: sumOf(rest), show: count }];
}

function sumOf(types: ReadonlySet<string>): Series["value"] {
  return (point) => {
    const counts = Object.entries(point.eventsByType).filter(([type]) => types.has(type));
    return counts.length === 0 ? null : counts.reduce((sum, [, value]) => sum + value, 0);
  };
}

export const eventCountSeries: Series = {
  key: "events",
  name: "events",
  colour: "var(--event-1)",
  kind: "bar",
  value: (point) => point.events,
  show: count,
};
