import { describe, expect, test } from "vitest";

import { toSeries, toTallies, toTrust } from "./map";
import type { Wire } from "./wire";

const sources: Wire<"Provenance"> = {
  complete_to: "2024-05-01T12:30:00Z",
  raw_from: "2024-05-01T10:00:00Z",
  alignment: "hour",
  effective_start: "2024-05-01T10:00:00Z",
  effective_end: "2024-05-01T13:00:00Z",
  n: 42,
  percentiles: { kind: "bounded", relative_error: 0.01 },
  users: { kind: "exact", relative_error: 0 },
};

const point = (timestamp: string, requests: number): Wire<"DataPoint"> => ({ timestamp, complete: true, total_requests: requests, p95_response_time_ms: 30, p99_response_time_ms: 40 });

const wire = {
  start_time: "2024-05-01T10:00:00Z",
  end_time: "2024-05-01T13:00:00Z",
  interval: "hourly",
  data_points: [point("2024-05-01T10:00:00Z", 20), point("2024-05-01T12:00:00Z", 19)],
  sources,
} as const;

describe("a series", () => {
  const { points } = toSeries(wire);
  test("has a bucket for every hour, gaps included", () => expect(points.map(({ requests }) => requests)).toEqual([20, null, 19]));
  test("shows a p99 of at least twenty samples only", () => expect(points.map(({ p99 }) => p99)).toEqual([40, null, null]));
  test("leaves open what lies past the watermark", () => {
    const later = toSeries({ ...wire, data_points: [], sources: { ...sources, complete_to: "2024-05-01T11:00:00Z" } });
    expect(later.points.map(({ complete }) => complete)).toEqual([true, false, false]);
  });
});

test("trust keeps what the server said of its numbers", () => {
  expect(toTrust(sources)).toMatchObject({ n: 42, hourAligned: true, aggregatedFrom: null, usersFrom: null, percentiles: { exact: false, relativeError: 0.01 }, users: { exact: true } });
});

test("tallies come most first, equal ones by name", () => {
  expect(toTallies({ b: 1, a: 1, c: 5 }).map(({ name }) => name)).toEqual(["c", "a", "b"]);
});
