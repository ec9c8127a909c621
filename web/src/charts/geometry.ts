import type { Point } from "@/series/point";

type Value = (point: Point) => number | null;

/** From what size on bars are set apart: thinner ones would be mostly gap. */
const roomyBand = 5;

/** One SVG path a series, stacked in order; a bucket in which nothing happened has no bar. */
export function barPaths(
  points: readonly Point[],
  values: readonly Value[],
  band: (time: number) => readonly [number | undefined, number | undefined],
  y: (value: number) => number | undefined,
): string[] {
  const paths = values.map((): string[] => []);
  for (const point of points) {
    const [from, to] = band(point.time.getTime());
    if (from === undefined || to === undefined) continue;
    const inset = to - from > roomyBand ? (to - from) * 0.1 : 0;
    let below = 0;
    values.forEach((value, index) => {
      const size = value(point) ?? 0;
      const [bottom, top] = [y(below), y(below + size)];
      below += size;
      if (size > 0 && bottom !== undefined && top !== undefined) {
        paths[index]?.push(`M${round(from + inset)},${round(bottom)}V${round(top)}H${round(to - inset)}V${round(bottom)}Z`);
      }
    });
  }
  return paths.map((pieces) => pieces.join(""));
}

const round = (pixel: number) => Math.round(pixel * 100) / 100;

/** The values with a gap on both sides. */
export function loneValues(points: readonly Point[], value: Value): { time: number; size: number }[] {
  const at = (index: number) => {
    const point = points[index];
    return point === undefined ? null : value(point);
  };
  return points.flatMap((point, index) => {
    const size = value(point);
    return size === null || at(index - 1) !== null || at(index + 1) !== null ? [] : [{ time: point.time.getTime(), size }];
  });
}

/** The height of a stack; null where nothing happened. */
export function stackedTotal(values: readonly Value[]): Value {
  return (point) => {
    const known = values.map((value) => value(point)).filter((size) => size !== null);
    return known.length === 0 ? null : known.reduce((sum, size) => sum + size, 0);
  };
}
