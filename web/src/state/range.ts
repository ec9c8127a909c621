import type { Query } from "@/api/client";
import type { Interval } from "@/series/interval";

export const presets = ["24h", "7d", "30d", "90d"] as const;
export type Preset = (typeof presets)[number];

export type Range =
  | { readonly kind: "preset"; readonly preset: Preset }
  | { readonly kind: "custom"; readonly start: Date; readonly end: Date };

export const defaultRange: Range = { kind: "preset", preset: "24h" };

const hour = 3_600_000;
const day = 24 * hour;
const presetLength: Record<Preset, number> = { "24h": day, "7d": 7 * day, "30d": 30 * day, "90d": 90 * day };

export const presetNames: Record<Preset, string> = {
  "24h": "last 24 hours",
  "7d": "last 7 days",
  "30d": "last 30 days",
  "90d": "last 90 days",
};

/** What the installation keeps; `/api/v1/me` says, these are the defaults. */
export interface Limits {
  readonly rawRetentionMs: number;
  readonly retentionMs: number;
  readonly maxRangeMs: number;
}

export const defaultLimits: Limits = { rawRetentionMs: 7 * day, retentionMs: 90 * day, maxRangeMs: 90 * day };

export function isPreset(text: string | null): text is Preset {
  return presets.some((preset) => preset === text);
}

export function rangeLength(range: Range): number {
  return range.kind === "preset" ? presetLength[range.preset] : range.end.getTime() - range.start.getTime();
}

/** The edges of a range as of now; a preset ends now. */
export function rangeEdges(range: Range, now: Date): { start: Date; end: Date } {
  if (range.kind === "custom") return { start: range.start, end: range.end };
  return { start: new Date(now.getTime() - presetLength[range.preset]), end: now };
}

export function rangeQuery(range: Range): Query {
  if (range.kind === "preset") return { time_range: range.preset };
  return { start: range.start.toISOString(), end: range.end.toISOString() };
}

/** The widths a range can be drawn in, the best first. Bars thinner than a pixel say nothing. */
export function intervalsFor(range: Range): readonly Interval[] {
  const length = rangeLength(range);
  if (length <= day) return ["5min", "hourly"];
  return length <= 31 * day ? ["hourly", "daily"] : ["daily", "hourly"];
}

/** The viewer's zone, in which days begin. */
export const viewerZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Says why a custom range cannot be asked for, or null: the server's own rules, before asking it. */
export function rangeProblem(start: Date, end: Date, now: Date, limits: Limits): string | null {
  if (Number.isNaN(start.getTime()) || Number.isNaN(end.getTime())) return "Enter both a start and an end";
  if (start >= end) return "The start must be before the end";
  if (end.getTime() > now.getTime() + 60_000) return "The range must not reach into the future";
  if (end.getTime() - start.getTime() > limits.maxRangeMs) {
    return `The range must not be longer than ${Math.round(limits.maxRangeMs / day)} days`;
  }
  if (start.getTime() < now.getTime() - limits.retentionMs) {
    return `The start must not be older than ${Math.round(limits.retentionMs / day)} days, which is how long data is kept`;
  }
  return null;
}
