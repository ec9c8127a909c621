/** Widths of time buckets, as the contract names them. */
export const intervals = ["5min", "hourly", "daily"] as const;
export type Interval = (typeof intervals)[number];

export const intervalNames: Record<Interval, string> = { "5min": "5 min", hourly: "1 hour", daily: "1 day" };
