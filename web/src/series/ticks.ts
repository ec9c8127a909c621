import { time } from "@/format/time";

/** Distances of marks, in hours: few enough marks to read, each at a time people would name. */
const stepsHours = [1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 720] as const;

/** At most about `most` marks for a time axis, chosen among its buckets. */
export function timeTicks(times: readonly Date[], most: number): Date[] {
  const first = times[0];
  const last = times.at(-1);
  if (first === undefined || last === undefined) return [];
  const hours = (last.getTime() - first.getTime()) / 3_600_000;
  const step = stepsHours.find((candidate) => hours / candidate <= most) ?? 720;
  // The first bucket of each stretch: in zones off the full hour no bucket starts exactly at one.
  const marks = times.filter((moment, index) => {
    const before = times[index - 1];
    return before !== undefined && stretch(before, step) !== stretch(moment, step);
  });
  return marks.length > 0 ? marks : [first];
}

function stretch(moment: Date, stepHours: number): number {
  const day = Math.round(Date.UTC(moment.getFullYear(), moment.getMonth(), moment.getDate()) / 86_400_000);
  if (stepHours >= 24) return Math.floor(day / (stepHours / 24));
  return day * 24 + Math.floor(moment.getHours() / stepHours) * stepHours;
}

/** The text of a mark: the hour within a day, the date where a day begins. */
export function tickText(moment: Date): string {
  return time(moment, moment.getHours() === 0 ? "day" : "clock");
}
