import { time, utc } from "@/format/time";
import type { Interval } from "@/series/interval";
import type { Point } from "@/series/point";
import type { Column } from "@/ui/data-table";

import type { Series } from "./series";

/** The numbers behind a chart: one row a bucket, one column a series. */
export function pointColumns(series: readonly Series[], interval: Interval): Column<Point>[] {
  return [
    {
      key: "time",
      title: "Time",
      value: (point) => point.time.toISOString(),
      show: (point) => time(point.time, interval === "daily" ? "weekday" : "moment"),
      hint: (point) => utc(point.time),
    },
    ...series.map(
      (one): Column<Point> => ({
        key: one.key,
        title: one.name,
        numeric: true,
        value: one.value,
        show: (point) => one.show(one.value(point)),
        hint: (point) => String(one.value(point) ?? "nothing recorded"),
      }),
    ),
    {
      key: "complete",
      title: "Complete",
      value: (point) => point.complete,
      show: (point) => (point.complete ? "yes" : "not yet"),
    },
  ];
}
