import { describe, expect, test } from "vitest";

import { emptyPoint, type Point } from "@/series/point";

import { barPaths, loneValues, stackedTotal } from "./geometry";

const point = (hour: number, requests: number | null, errors: number | null = null): Point => ({ ...emptyPoint(new Date(hour), true), requests, errors });
const requests = (one: Point) => one.requests;
const errors = (one: Point) => one.errors;
const band = (time: number) => [time * 4, time * 4 + 4] as const;
const y = (value: number) => 100 - value;

describe("bars", () => {
  test("stack in order, each series in one path", () => {
    const paths = barPaths([point(0, 10, 5), point(1, 20, null)], [requests, errors], band, y);
    expect(paths).toEqual(["M0,100V90H4V100ZM4,100V80H8V100Z", "M0,90V85H4V90Z"]);
  });
  test("leave gaps and zeros empty", () => expect(barPaths([point(0, null), point(1, 0)], [requests], band, y)).toEqual([""]));
  test("are set apart where there is room", () => {
    const wide = (time: number) => [time * 10, time * 10 + 10] as const;
    expect(barPaths([point(0, 1)], [requests], wide, y)).toEqual(["M1,100V99H9V100Z"]);
  });
});

test("only values with gaps on both sides stand alone", () => {
  expect(loneValues([point(0, 1), point(1, 2), point(2, null), point(3, 4), point(4, null)], requests)).toEqual([{ time: 3, size: 4 }]);
});

test("a stack of nothing is a gap", () => {
  const total = stackedTotal([requests, errors]);
  expect([point(0, null), point(1, 3), point(2, 3, 2)].map(total)).toEqual([null, 3, 5]);
});
