/** Widths of time buckets, as the contract names them. */
export type Interval = "5min" | "hourly" | "daily";

export const intervalNames: Record<Interval, string> = { "5min": "5 min", hourly: "1 hour", daily: "1 day" };
