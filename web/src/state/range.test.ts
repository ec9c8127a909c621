import { describe, expect, test } from "vitest";

import { defaultLimits, intervalsFor, rangeProblem, rangeQuery, type Range } from "./range";

const now = new Date("2024-06-01T12:00:00Z");
const daysAgo = (days: number) => new Date(now.getTime() - days * 86_400_000);
const custom = (days: number): Range => ({ kind: "custom", start: daysAgo(days), end: now });

describe("a custom range", () => {
  test("inside the limits is fine", () => expect(rangeProblem(daysAgo(90), now, now, defaultLimits)).toBeNull());
  test("may not start after its end", () => expect(rangeProblem(daysAgo(1), daysAgo(2), now, defaultLimits)).toMatch(/before the end/));
  test("may not be empty", () => expect(rangeProblem(daysAgo(1), daysAgo(1), now, defaultLimits)).toMatch(/before the end/));
  test("may not reach into the future", () => expect(rangeProblem(daysAgo(1), daysAgo(-1), now, defaultLimits)).toMatch(/future/));
  test("may not be longer than 90 days", () => expect(rangeProblem(daysAgo(92), daysAgo(1), now, defaultLimits)).toMatch(/longer than 90 days/));
  test("may not start before what is kept", () => expect(rangeProblem(daysAgo(100), daysAgo(60), now, defaultLimits)).toMatch(/older than 90 days/));
  test("needs both edges", () => expect(rangeProblem(new Date(""), now, now, defaultLimits)).toMatch(/both/));
  test("is held to the limits of the installation", () => {
    const limits = { ...defaultLimits, retentionMs: 30 * 86_400_000, maxRangeMs: 30 * 86_400_000 };
    expect(rangeProblem(daysAgo(40), now, now, limits)).toMatch(/30 days/);
  });
});

describe("buckets", () => {
  test.each([
    [custom(1), "5min"],
    [custom(2), "hourly"],
    [custom(31), "hourly"],
    [custom(60), "daily"],
    [{ kind: "preset", preset: "24h" } as const, "5min"],
    [{ kind: "preset", preset: "90d" } as const, "daily"],
  ])("of %o are %s by default", (range, interval) => expect(intervalsFor(range)[0]).toBe(interval));
});

test("presets are asked for by name, custom ranges by their edges", () => {
  expect(rangeQuery({ kind: "preset", preset: "7d" })).toEqual({ time_range: "7d" });
  expect(rangeQuery(custom(1))).toEqual({ start: "2024-05-31T12:00:00.000Z", end: "2024-06-01T12:00:00.000Z" });
});
