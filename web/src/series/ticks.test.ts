import { describe, expect, test } from "vitest";

import { buckets } from "./grid";
import { tickText, timeTicks } from "./ticks";

const hours = (start: string, count: number) => {
  const from = new Date(start);
  return buckets(from, new Date(from.getTime() + count * 3_600_000), "hourly");
};

describe("marks of a time axis", () => {
  test("stand at hours people would name", () => {
    expect(timeTicks(hours("2024-05-01T08:00:00Z", 24), 9).map(tickText)).toEqual(["12:00", "15:00", "18:00", "21:00", "2 May", "03:00", "06:00", "09:00"]);
  });

  test("stand at days for a week and at weeks for a quarter", () => {
    expect(timeTicks(hours("2024-05-01T08:00:00Z", 7 * 24), 9).map(tickText)).toEqual(["2 May", "3 May", "4 May", "5 May", "6 May", "7 May", "8 May"]);
    expect(timeTicks(hours("2024-02-01T08:00:00Z", 90 * 24), 9).length).toBeLessThanOrEqual(10);
  });

  test("are never more than can be read", () => {
    for (const count of [1, 5, 24, 48, 100, 168, 720, 2160]) expect(timeTicks(hours("2024-05-01T08:00:00Z", count), 9).length).toBeLessThanOrEqual(11);
  });

  test("are there for zones whose hours begin elsewhere", () => {
    const times = [0, 1, 2, 3, 4, 5].map((index) => new Date(2024, 4, 1, 8 + index, 30));
    expect(timeTicks(times, 9).length).toBe(5);
  });

  test("no times, no marks", () => expect(timeTicks([], 9)).toEqual([]));
});
