import { describe, expect, test } from "vitest";

import { defaultView, formatView, onPage, parseView, toggled, type View } from "./view";

const full: View = {
  page: "requests",
  range: { kind: "custom", start: new Date("2024-05-01T00:00:00Z"), end: new Date("2024-05-02T00:00:00Z") },
  bucket: "daily",
  app: "orders api",
  endpoint: "/api/v1/orders/{id}?x=1&y=2",
  method: "GET",
  eventType: "report.shared",
  status: "error",
  errorType: "Database=Timeout",
  user: "a+b@example.com",
  interaction: "click-1",
  order: "slowest",
  includeAnonymous: true,
  exact: true,
  filter: { endpoints: "orders, {id}" },
  sort: { endpoints: "-p95", users: "user" },
  tables: ["response", "requests"],
  hidden: ["p99"],
  sequence: "12",
};

describe("the address", () => {
  test("holds everything that is on screen", () => expect(parseView(formatView(full))).toEqual(full));
  test("is empty for what is shown first", () => expect(formatView(defaultView)).toBe(""));
  test("of nothing is what is shown first", () => expect(parseView("")).toEqual(defaultView));

  test.each(["?view=nonsense", "?range=5y", "?start=yesterday&end=today", "?start=2024-05-02&end=2024-05-01", "?status=9xx", "?bucket=year", "?order=upwards"])(
    "that makes no sense (%s) is what is shown first",
    (address) => expect(parseView(address)).toEqual(defaultView),
  );
});

test("another page keeps range, app and the way of counting, and drops the rest", () => {
  const next = onPage(full, "endpoint", { endpoint: "/health" });
  expect(next).toMatchObject({ page: "endpoint", endpoint: "/health", range: full.range, app: full.app, includeAnonymous: true });
  expect(next).toMatchObject({ user: "", sort: {}, tables: [], status: "" });
});

test("toggling twice changes nothing", () => {
  expect(toggled(["a", "b"], "b")).toEqual(["a"]);
  expect(toggled(toggled(["a"], "b"), "b")).toEqual(["a"]);
});
