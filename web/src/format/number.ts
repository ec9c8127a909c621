/** How numbers read. Cards take three significant digits, hover and CSV everything. */

export interface Quantity {
  readonly value: string;
  readonly unit: string;
}

const none = "–";
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Three significant digits, never `1e3`: 999.6 reads 1,000. */
function three(value: number): string {
  return Math.abs(value) >= 999.5 ? whole.format(value) : short.format(value);
}

/** A duration; milliseconds become seconds at 1000. */
export function duration(milliseconds: number | null): Quantity {
  if (milliseconds === null) return { value: none, unit: "" };
  if (milliseconds < 1000) return { value: three(milliseconds), unit: "ms" };
  const seconds = milliseconds / 1000;
  return seconds < 120 ? { value: three(seconds), unit: "s" } : { value: three(seconds / 60), unit: "min" };
}

export function durationText(milliseconds: number | null): string {
  return joined(duration(milliseconds));
}

/** Milliseconds for columns, where one unit keeps the digits aligned: `31.2`, `1,204`. */
export function milliseconds(value: number | null): string {
  if (value === null) return none;
  if (value > 0 && value < 0.05) return "<0.1";
  return value >= 1000 ? whole.format(value) : value.toFixed(value < 100 ? 1 : 0);
}

// A step begins where three digits of the one below would round up to four.
const steps = [
  { from: 999.5e6, by: 1e9, unit: "B" },
  { from: 999.5e3, by: 1e6, unit: "M" },
  { from: 1e5, by: 1e3, unit: "k" },
] as const;

/** A count for cards: 1.20 M, 312 k, 9,812. */
export function compactCount(value: number): Quantity {
  const step = steps.find(({ from }) => value >= from);
  if (step === undefined) return { value: whole.format(value), unit: "" };
  return { value: (value / step.by).toPrecision(3), unit: step.unit };
}

export function count(value: number | null): string {
  return value === null ? none : whole.format(value);
}

/** A ratio 0..1 as `0.79%`. What is not nothing never reads as 0%, what is not everything never as 100%. */
export function percent(ratio: number | null): string {
  if (ratio === null) return none;
  if (ratio > 0 && ratio < 0.0001) return "<0.01%";
  if (ratio < 1 && ratio > 0.9999) return ">99.99%";
  const points = ratio * 100;
  return `${points >= 99.95 && ratio < 1 ? points.toFixed(2) : points >= 10 ? points.toFixed(1) : points.toFixed(2)}%`;
}

const byteUnits = ["B", "kB", "MB", "GB", "TB"] as const;

export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(byteUnits.length - 1, Math.floor(Math.log10(value) / 3));
  return `${short.format(value / 1000 ** power)} ${byteUnits[power] ?? ""}`;
}

export function joined({ value, unit }: Quantity): string {
  return unit === "" ? value : `${value} ${unit}`;
}

export interface Change {
  readonly direction: "up" | "down" | "same";
  readonly text: string;
}

/** The change against the period before, relative; null where there is nothing to compare with. */
export function relativeChange(now: number, before: number | null): Change | null {
  if (before === null || before === 0) return null;
  const ratio = (now - before) / before;
  const points = Math.abs(ratio * 100);
  return { direction: direction(ratio, 0.0005), text: `${points < 9.95 ? points.toFixed(1) : whole.format(points)}%` };
}

/** The change of a ratio, in percentage points. */
export function pointChange(now: number, before: number | null): Change | null {
  if (before === null) return null;
  const points = (now - before) * 100;
  return { direction: direction(points, 0.005), text: `${Math.abs(points).toFixed(2)} pt` };
}

/** The change of a count of few, absolute. */
export function absoluteChange(now: number, before: number | null): Change | null {
  if (before === null) return null;
  return { direction: direction(now - before, 0.5), text: whole.format(Math.abs(now - before)) };
}

function direction(difference: number, nothing: number): Change["direction"] {
  if (Math.abs(difference) < nothing) return "same";
  return difference > 0 ? "up" : "down";
}
