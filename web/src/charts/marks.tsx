import { useMemo } from "react";
import { useXAxisScale, useYAxisScale } from "recharts";

import type { Point } from "@/series/point";

import { barPaths, loneValues } from "./geometry";
import type { Series } from "./series";

interface Props {
  readonly points: readonly Point[];
  readonly series: readonly Series[];
}

/**
 * All bars of a series as one path. The library draws an element with state of its own for every bar, which takes
 * seconds for a month of hours.
 */
export function Bars({ points, series }: Props) {
  const [x, y] = [useXAxisScale(), useYAxisScale()];
  const paths = useMemo(() => {
    if (x === undefined || y === undefined) return [];
    const band = (moment: number) => [x(moment, { position: "start" }), x(moment, { position: "end" })] as const;
    return barPaths(points, series.map(({ value }) => value), band, y);
  }, [points, series, x, y]);
  return (
    <g aria-hidden>
      {series.map(({ key, colour }, index) => (
        <path key={key} d={paths[index] ?? ""} fill={colour} shapeRendering="crispEdges" />
      ))}
    </g>
  );
}

/** A bucket between two gaps has no line to be seen by: it is a dot. */
export function LoneDots({ points, series }: Props) {
  const [x, y] = [useXAxisScale(), useYAxisScale()];
  if (x === undefined || y === undefined) return null;
  return (
    <g aria-hidden>
      {series.flatMap(({ key, colour, value }) =>
        loneValues(points, value).map(({ time, size }) => (
          <circle key={`${key} ${time}`} cx={x(time, { position: "middle" })} cy={y(size)} r={2.5} fill={colour} />
        )),
      )}
    </g>
  );
}
