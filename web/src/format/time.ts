/** Times read in the viewer's zone; UTC is on hover. */

const formats = {
  clock: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }),
  clockSeconds: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" }),
  dayYear: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" }),
  weekday: new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" }),
  // The zone's short name tells the two passes of the repeated hour apart when clocks go back.
  moment: new Intl.DateTimeFormat("en-GB", {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  }),
  full: new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZoneName: "short",
  }),
} as const;

export type TimeFormat = keyof typeof formats;

export function time(moment: Date, format: TimeFormat): string {
  return formats[format].format(moment);
}

/** For hover: the exact moment in UTC. */
export function utc(moment: Date): string {
  return moment.toISOString().replace("T", " ").replace(/\.000Z$/, "Z").replace("Z", " UTC");
}

/** How long ago, in the largest unit that fits: `12 s ago`. */
export function ago(moment: Date, now: Date): string {
  const seconds = Math.max(0, (now.getTime() - moment.getTime()) / 1000);
  return `${span(seconds)} ago`;
}

const units = [
  { name: "d", seconds: 86_400 },
  { name: "h", seconds: 3600 },
  { name: "min", seconds: 60 },
] as const;

export function span(seconds: number): string {
  const unit = units.find((candidate) => seconds >= 2 * candidate.seconds);
  if (unit !== undefined) return `${Math.round(seconds / unit.seconds)} ${unit.name}`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}
