import type { Page, Route } from "playwright-core";
import { expect, test } from "vitest";

import { asked, error, settled, stage } from "./setup.ts";

const { open, openWith } = stage();

const metricsCalls = ["/api/v1/apps", "/api/v1/me", "/api/v1/metrics/performance", "/api/v1/metrics/time-series", "/api/v1/metrics/usage"];
const paths = (addresses: readonly string[]) => addresses.map((address) => address.split("?")[0]).sort();

/** Holds every API call back until released. */
async function hold(page: Page): Promise<{ waiting: Route[]; release: () => Promise<void> }> {
  const waiting: Route[] = [];
  await page.route("**/api/v1/**", (route) => {
    if (route.request().method() === "POST") return route.continue();
    waiting.push(route);
    return undefined;
  });
  const release = async () => {
    const held = waiting.splice(0);
    await Promise.all(held.map((route) => route.continue()));
    await page.unroute("**/api/v1/**");
  };
  return { waiting, release };
}

test("refresh asks for everything once, in parallel, and is disabled meanwhile", async () => {
  const { page } = await open("/?range=7d");
  const addresses = asked(page);
  const { waiting, release } = await hold(page);
  await page.getByRole("button", { name: "Refresh" }).click();
  const button = page.getByRole("button", { name: "Refreshing..." });
  await button.waitFor();
  // None has been answered, and all are asked: they do not wait for each other.
  await expect.poll(() => waiting.length).toBe(metricsCalls.length);
  expect(await button.isDisabled()).toBe(true);
  await release();
  await page.getByRole("button", { name: "Refresh", exact: true }).waitFor();
  expect(paths(addresses)).toEqual(metricsCalls);
  expect(addresses.filter((address) => address.includes("time_range=7d")).length).toBe(4);
});

test("the key r refreshes", async () => {
  const { page } = await open();
  const addresses = asked(page);
  await page.keyboard.press("r");
  await expect.poll(() => paths(addresses)).toEqual(metricsCalls);
});

test("nothing is asked for by itself: there is no polling", async () => {
  const { page } = await openWith(async (prepared) => prepared.clock.install());
  await settled(page);
  const addresses = asked(page);
  await page.clock.fastForward("30:00");
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  expect(addresses).toEqual([]);
});

test("when one call fails the others show, with a message of its own", async () => {
  const { page } = await openWith(async (prepared) =>
    prepared.route("**/api/v1/metrics/usage?*", (route) => route.fulfill(error(503, "Data temporarily unavailable"))),
  );
  await page.getByText("Failed to load usage metrics").waitFor();
  await page.getByRole("table", { name: "Endpoints", exact: true }).waitFor();
  expect(await page.getByRole("group", { name: "Requests" }).locator("[data-value]").innerText()).toMatch(/\d/);
});

test("a refresh that fails says so, and trying again heals it", async () => {
  const { page } = await open();
  await page.route("**/api/v1/metrics/performance?*", (route) => route.fulfill(error(503, "Data temporarily unavailable")));
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("Failed to refresh metrics. Please try again.").waitFor();
  await page.getByText("Failed to load performance metrics").waitFor();
  await page.getByRole("region", { name: "Events over time" }).waitFor();
  await page.unroute("**/api/v1/metrics/performance?*");
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.getByRole("table", { name: "Endpoints", exact: true }).waitFor();
});

test("waiting shows a shape first, Calculating... after 2 s, and gives up after 10 s", async () => {
  const { page } = await openWith(async (prepared) =>
    prepared.route("**/api/v1/metrics/performance?*", () => {
      // Never answered.
    }),
  );
  const started = Date.now();
  await page.getByRole("status", { name: "Loading" }).first().waitFor();
  await page.getByText("Calculating...").first().waitFor();
  expect(Date.now() - started).toBeGreaterThan(1500);
  await page.getByText("Data temporarily unavailable").first().waitFor({ timeout: 15_000 });
  await page.getByText("Failed to load performance metrics").waitFor();
});

test("whoever is no administrator sees only that", async () => {
  const { page } = await openWith(async (prepared) => {
    await prepared.route("**/api/v1/me", (route) => route.fulfill({ json: { user_id: "someone@example.com", is_admin: false, auth_mode: "databricks" } }));
    await prepared.route("**/api/v1/metrics/**", (route) => route.fulfill(error(403, "Administrator privileges required")));
    await prepared.route("**/api/v1/apps?*", (route) => route.fulfill(error(403, "Administrator privileges required")));
  });
  await page.getByText("Access Denied: Administrator privileges required").waitFor();
  expect(await page.getByRole("navigation").count()).toBe(0);
  expect(await page.getByRole("button").count()).toBe(0);
});

test("an admin check that is away denies, and says why", async () => {
  const { page } = await openWith(async (prepared) => prepared.route("**/api/v1/me", (route) => route.fulfill(error(503, "Unable to verify admin privileges"))));
  await page.getByText("Unable to verify admin privileges").first().waitFor();
  expect(await page.getByRole("navigation").count()).toBe(0);
});

test("an empty installation says what to do next", async () => {
  const zero = { kind: "exact", relative_error: 0 };
  const range = { time_range: "24h", start_time: "2024-05-01T00:00:00Z", end_time: "2024-05-02T00:00:00Z" };
  const sources = { complete_to: range.end_time, alignment: "none", effective_start: range.start_time, effective_end: range.end_time, n: 0, percentiles: zero, users: zero };
  const numbers = { avg_response_time_ms: 0, min_response_time_ms: 0, max_response_time_ms: 0, p50_response_time_ms: 0, p95_response_time_ms: 0, p99_response_time_ms: 0 };
  const metrics = { ...numbers, total_requests: 0, error_count: 0, error_rate: 0, active_users: 0, anonymous_requests: 0 };
  const usage = { metrics: { total_events: 0, unique_users: 0, active_users_current_hour: 0 }, event_distribution: {}, page_views: {}, elements: {}, top_users: [] };
  const { page } = await openWith(async (prepared) => {
    await prepared.route("**/api/v1/apps?*", (route) => route.fulfill({ json: { apps: [] } }));
    await prepared.route("**/api/v1/metrics/performance?*", (route) => route.fulfill({ json: { ...range, metrics, endpoints: [], trend_slice_seconds: 3600, sources } }));
    await prepared.route("**/api/v1/metrics/time-series?*", (route) => route.fulfill({ json: { ...range, interval: "5min", data_points: [], sources } }));
    await prepared.route("**/api/v1/metrics/usage?*", (route) => route.fulfill({ json: { ...range, ...usage, interval: "5min", active_users: [], sources } }));
  });
  await page.getByText("No data available").waitFor();
  expect(await page.getByLabel("Command that sends a first event").innerText()).toContain("/api/v1/metrics/performance-events");
});
