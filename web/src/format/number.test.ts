import { describe, expect, test } from "vitest";

import { absoluteChange, bytes, compactCount, duration, durationText, joined, milliseconds, percent, pointChange, relativeChange } from "./number";

describe("durations", () => {
  test.each([
    [0, "0 ms"],
    [0.04217, "0.0422 ms"],
    [45.23, "45.2 ms"],
    [999.4, "999 ms"],
    [999.7, "1,000 ms"],
    [1000, "1 s"],
    [1234, "1.23 s"],
    [119_900, "120 s"],
    [180_000, "3 min"],
  ])("%f reads %s", (value, text) => expect(durationText(value)).toBe(text));

  test("what is not known is a dash without a unit", () => expect(duration(null)).toEqual({ value: "–", unit: "" }));

  test("columns keep one unit", () => expect([0, 0.04, 0.94, 31.24, 118.4, 1204.4, null].map(milliseconds)).toEqual(["0.0", "<0.1", "0.9", "31.2", "118", "1,204", "–"]));
});

describe("counts", () => {
  test.each([
    [0, "0"],
    [9812, "9,812"],
    [99_999, "99,999"],
    [312_004, "312 k"],
    [999_499, "999 k"],
    [999_500, "1.00 M"],
    [1_204_000, "1.20 M"],
    [999_500_000, "1.00 B"],
  ])("%i reads %s on a card", (value, text) => expect(joined(compactCount(value))).toBe(text));

  test("never has four digits and an exponent", () => {
    for (let value = 100_000; value < 2e9; value = Math.ceil(value * 1.0007)) expect(compactCount(value).value).toMatch(/^[\d.]{1,4}$/);
  });
});

describe("ratios", () => {
  test.each([
    [0, "0.00%"],
    [0.0079, "0.79%"],
    [0.00001, "<0.01%"],
    [0.123, "12.3%"],
    [1, "100.0%"],
    [0.99999, ">99.99%"],
    [0.9996, "99.96%"],
    [null, "–"],
  ])("%f reads %s", (ratio, text) => expect(percent(ratio)).toBe(text));
});

describe("changes", () => {
  test("are relative for sizes", () => {
    expect(relativeChange(92, 100)).toEqual({ direction: "down", text: "8.0%" });
    expect(relativeChange(112.4, 100)).toEqual({ direction: "up", text: "12%" });
  });
  test("are not made up when there was nothing before", () => {
    expect(relativeChange(5, 0)).toBeNull();
    expect(relativeChange(5, null)).toBeNull();
  });
  test("are points for ratios and plain for few", () => {
    expect(pointChange(0.0079, 0.0069)).toEqual({ direction: "up", text: "0.10 pt" });
    expect(absoluteChange(156, 152)).toEqual({ direction: "up", text: "4" });
    expect(absoluteChange(4, 4)?.direction).toBe("same");
  });
});

test("bytes read in the unit that fits", () => expect([0, 999, 412_000_000].map(bytes)).toEqual(["0 B", "999 B", "412 MB"]));
