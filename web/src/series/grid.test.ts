import { describe, expect, test } from "vitest";

import { buckets, onGrid } from "./grid";

const iso = (moments: readonly Date[]) => moments.map((moment) => moment.toISOString());

describe("buckets", () => {
  test("five-minute ones begin with the bucket that holds the start", () => {
    const found = buckets(new Date("2024-05-01T10:02:00Z"), new Date("2024-05-01T10:11:00Z"), "5min");
    expect(iso(found)).toEqual(["2024-05-01T10:00:00.000Z", "2024-05-01T10:05:00.000Z", "2024-05-01T10:10:00.000Z"]);
  });

  test("the end is exclusive", () => {
    expect(buckets(new Date("2024-05-01T10:00:00Z"), new Date("2024-05-01T12:00:00Z"), "hourly").length).toBe(2);
  });

  // Berlin, 31 March 2024: 23 hours; 27 October 2024: 25 hours.
  test.each([
    ["2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", 23],
    ["2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z", 25],
  ])("no hour is doubled or dropped when clocks change (%s)", (start, end, hours) => {
    const found = buckets(new Date(start), new Date(end), "hourly");
    expect(found.length).toBe(hours);
    expect(new Set(iso(found)).size).toBe(hours);
  });

  test("days begin at local midnight on both sides of a clock change", () => {
    const found = buckets(new Date("2024-03-29T23:00:00Z"), new Date("2024-04-01T22:00:00Z"), "daily");
    expect(iso(found)).toEqual(["2024-03-29T23:00:00.000Z", "2024-03-30T23:00:00.000Z", "2024-03-31T22:00:00.000Z"]);
  });

  test("ninety days of hours are all there", () => {
    const end = new Date("2024-06-01T00:00:00Z");
    expect(buckets(new Date(end.getTime() - 90 * 86_400_000), end, "hourly").length).toBe(2160);
  });
});

test("a bucket the server left out becomes a gap, not a zero", () => {
  const range = { start: new Date("2024-05-01T10:00:00Z"), end: new Date("2024-05-01T13:00:00Z"), interval: "hourly" } as const;
  const entries = [{ time: new Date("2024-05-01T10:00:00Z"), value: 1 as number | null }, { time: new Date("2024-05-01T12:00:00Z"), value: 3 }];
  const filled = onGrid(entries, range, (time) => ({ time, value: null }));
  expect(filled.map(({ value }) => value)).toEqual([1, null, 3]);
});
