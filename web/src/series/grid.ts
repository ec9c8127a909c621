import type { Interval } from "./interval";

const stepMs = { "5min": 300_000, hourly: 3_600_000 } as const;

/** The start of the bucket that holds `moment`. Days begin at the viewer's midnight, hours and less in UTC. */
export function bucketStart(moment: Date, interval: Interval): Date {
  if (interval === "daily") return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
  const step = stepMs[interval];
  return new Date(Math.floor(moment.getTime() / step) * step);
}

/**
 * The bucket after the one that starts at `start`. A day of a clock change has 23 or 25 hours; hours are counted in
 * UTC, so none is doubled or dropped then.
 */
export function nextBucket(start: Date, interval: Interval): Date {
  if (interval === "daily") return new Date(start.getFullYear(), start.getMonth(), start.getDate() + 1);
  return new Date(start.getTime() + stepMs[interval]);
}

/** Far more than any range of the dashboard has; a guard against a range nobody could draw. */
const mostBuckets = 5000;

/** Every bucket that touches the range, oldest first. */
export function buckets(start: Date, end: Date, interval: Interval): Date[] {
  const found: Date[] = [];
  for (let at = bucketStart(start, interval); at < end && found.length < mostBuckets; at = nextBucket(at, interval)) {
    found.push(at);
  }
  return found;
}

interface Timed {
  readonly time: Date;
}

/** One entry for every bucket of the range: what the server sent, or what `gap` makes of a bucket it left out. */
export function onGrid<Entry extends Timed>(
  entries: readonly Entry[],
  range: { start: Date; end: Date; interval: Interval },
  gap: (time: Date) => Entry,
): Entry[] {
  const known = new Map(entries.map((entry) => [bucketStart(entry.time, range.interval).getTime(), entry]));
  return buckets(range.start, range.end, range.interval).map((time) => known.get(time.getTime()) ?? gap(time));
}
