import { expect, test } from "vitest";

import { ago, span, time, utc } from "./time";

// The suite runs in Europe/Berlin: vitest.config.ts.
test("times read in the viewer's zone and in UTC on hover", () => {
  const moment = new Date("2024-07-01T10:00:30Z");
  expect(time(moment, "clockSeconds")).toBe("12:00:30");
  expect(utc(moment)).toBe("2024-07-01 10:00:30 UTC");
});

test("the two passes of the repeated hour read differently", () => {
  const [first, second] = [new Date("2024-10-27T00:30:00Z"), new Date("2024-10-27T01:30:00Z")];
  expect(time(first, "clock")).toBe(time(second, "clock"));
  expect(time(first, "moment")).not.toBe(time(second, "moment"));
});

test("spans take the largest unit that fits", () => {
  expect([0.42, 12, 119, 120, 7200, 172_800].map(span)).toEqual(["0.4 s", "12 s", "119 s", "2 min", "2 h", "2 d"]);
  expect(ago(new Date(0), new Date(12_000))).toBe("12 s ago");
});
