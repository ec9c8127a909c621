/** One bucket of a chart. Null is "nothing happened or not known": it is drawn as a gap, never as zero. */
export interface Point {
  readonly time: Date;
  /** The bucket is over and all of it is stored. */
  readonly complete: boolean;
  readonly avg: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  /** Null as well when the bucket has too few samples for it to mean anything. */
  readonly p99: number | null;
  readonly requests: number | null;
  readonly errors: number | null;
  readonly errorRate: number | null;
  readonly activeUsers: number | null;
  readonly events: number | null;
  readonly uniqueUsers: number | null;
  readonly eventsByType: Readonly<Record<string, number>>;
}

export function emptyPoint(time: Date, complete: boolean): Point {
  return {
    time,
    complete,
    avg: null,
    p50: null,
    p95: null,
    p99: null,
    requests: null,
    errors: null,
    errorRate: null,
    activeUsers: null,
    events: null,
    uniqueUsers: null,
    eventsByType: {},
  };
}

/** The least number of samples of which a p99 is shown. */
export const enoughForP99 = 20;
