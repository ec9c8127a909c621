import { ChartPanel } from "@/charts/chart-panel";
import { errorRateSeries, latencySeries, requestSeries } from "@/charts/series";
import { count, durationText, percent } from "@/format/number";
import { nextBucket } from "@/series/grid";
import type { Point } from "@/series/point";
import { useView } from "@/state/location";
import { onPage, type View } from "@/state/view";

import type { OverTime } from "../api/over-time";

/** Two charts on one time axis, with one crosshair and one tooltip for both. */
export function PerformanceCharts({ overTime }: { readonly overTime: OverTime }) {
  const { view, change } = useView();
  const { points, interval, trust, deploys } = overTime;
  const all = [...latencySeries, ...requestSeries, errorRateSeries];
  const upperShown = !view.tables.includes("response");

  /** One bucket leads to its requests, several become the range. */
  const select = (first: Point, last: Point) => {
    const range = { kind: "custom", start: first.time, end: endOf(last) } as const;
    change(first === last ? onPage(view, "requests", { range }) : { range });
  };
  const endOf = (point: Point) => new Date(Math.min(nextBucket(point.time, interval).getTime(), Date.now()));
  const requestsOf = (point: Point): View =>
    onPage(view, "requests", { range: { kind: "custom", start: point.time, end: endOf(point) } });

  // The answer counts requests and events together; these charts show requests.
  const requests = { ...trust, n: total(points, (point) => point.requests) };
  const shared = { points, interval, trust: requests, deploys, group: "performance", onSelect: select, to: requestsOf };
  return (
    <div className="flex flex-col gap-4">
      <ChartPanel {...shared} name="response" title="Response time" label={latencyLabel(points)} series={latencySeries} tooltip={all} figures="percentiles" axis={durationText} height="h-72" />
      <ChartPanel
        {...shared}
        name="requests"
        title="Requests and errors"
        label={requestLabel(points)}
        series={requestSeries}
        tooltip={upperShown ? [] : all}
        figures="counts"
        axis={count}
        height="h-60"
      />
    </div>
  );
}

const total = (points: readonly Point[], value: (point: Point) => number | null) => points.reduce((sum, point) => sum + (value(point) ?? 0), 0);

function latencyLabel(points: readonly Point[]): string {
  const worst = Math.max(0, ...points.map((point) => point.p95 ?? 0));
  return `Response time over time: average, p50, p95 and p99; the highest p95 of a bucket is ${durationText(worst)}`;
}

function requestLabel(points: readonly Point[]): string {
  const [requests, errors] = [total(points, (point) => point.requests), total(points, (point) => point.errors)];
  return `Requests and errors over time: ${count(requests)} requests, ${percent(requests === 0 ? 0 : errors / requests)} of them errors`;
}
