import { count } from "@/format/number";
import { time, utc } from "@/format/time";
import { intervalNames, type Interval } from "@/series/interval";
import { enoughForP99, type Point } from "@/series/point";

import type { Series } from "./series";

interface Props {
  readonly point: Point;
  readonly interval: Interval;
  readonly series: readonly Series[];
}

export function PointTooltip({ point, interval, series }: Props) {
  const shown = series.filter((one) => one.value(point) !== null || one.key === "p99");
  return (
    <div className="min-w-44 rounded-md border bg-popover px-3 py-2 text-xs text-popover-foreground shadow-md">
      <p className="font-medium">{time(point.time, interval === "daily" ? "weekday" : "moment")}</p>
      <p className="text-muted-foreground">
        {utc(point.time).replace(/:00 UTC$/, " UTC")}, {intervalNames[interval]}
      </p>
      {!point.complete && <p className="mt-1">not complete yet</p>}
      {point.requests === null && point.events === null && point.activeUsers === null ? (
        <p className="mt-1">nothing recorded</p>
      ) : (
        <dl className="tabular mt-1.5 grid grid-cols-[auto_1fr_auto] items-center gap-x-2 gap-y-0.5">
          {shown.map((one) => (
            <Row key={one.key} series={one} point={point} />
          ))}
        </dl>
      )}
    </div>
  );
}

function Row({ series, point }: { readonly series: Series; readonly point: Point }) {
  const value = series.value(point);
  const few = series.key === "p99" && value === null;
  return (
    <>
      <span aria-hidden className="h-0 w-3" style={{ borderTop: `3px ${series.dash === undefined ? "solid" : "dotted"} ${series.colour}` }} />
      <dt className="text-muted-foreground">{series.name}</dt>
      <dd className="text-right">{few ? `n = ${count(point.requests)}, below ${enoughForP99}` : series.show(value)}</dd>
    </>
  );
}
