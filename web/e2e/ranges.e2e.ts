import { expect, test } from "vitest";

import { answerOf, parametersOf, settled, stage } from "./setup.ts";

const { open } = stage();
const performancePath = "/api/v1/metrics/performance";

test.each(["7d", "30d", "90d", "24h"])("the range %s is asked for, marked and kept in the address", async (range) => {
  const { page } = await open(range === "24h" ? "/?range=7d" : "/");
  const answer = answerOf(page, performancePath);
  await page.getByRole("button", { name: range, exact: true }).click();
  expect(parametersOf(await answer)).toMatchObject({ time_range: range });
  expect(await page.getByRole("button", { name: range, exact: true }).getAttribute("aria-pressed")).toBe("true");
  expect(new URL(page.url()).searchParams.get("range")).toBe(range === "24h" ? null : range);
});

test("a link reproduces the view, back and forward walk through it", async () => {
  const { page } = await open("/?range=30d&sort.endpoints=-p95&filter.endpoints=orders&tables=response");
  expect(await page.getByRole("button", { name: "30d" }).getAttribute("aria-pressed")).toBe("true");
  expect(await page.getByLabel("Filter endpoints").inputValue()).toBe("orders");
  expect(await page.getByRole("columnheader", { name: "p95 ms" }).getAttribute("aria-sort")).toBe("descending");
  await page.getByRole("button", { name: "Show Response time as chart" }).waitFor();

  await page.getByRole("link", { name: "Usage" }).click();
  await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Application Metrics" }).waitFor();
  expect(await page.getByLabel("Filter endpoints").inputValue()).toBe("orders");
  await page.goForward();
  await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
});

test("keys 1 to 4 choose the ranges, and do nothing while a field is typed in", async () => {
  const { page } = await open();
  await page.keyboard.press("3");
  await page.waitForURL(/range=30d/);
  await page.keyboard.press("/");
  await page.keyboard.type("2");
  expect(await page.getByLabel("Filter endpoints").inputValue()).toBe("2");
  expect(page.url()).toContain("range=30d");
});

/** Local time, days from now, as a datetime-local field takes it. */
function field(days: number): string {
  const moment = new Date(Date.now() + days * 86_400_000);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

test("a custom range is asked for by start and end", async () => {
  const { page } = await open();
  await page.getByRole("button", { name: "Custom" }).click();
  await page.getByLabel("Start", { exact: true }).fill(field(-3));
  await page.getByLabel("End", { exact: true }).fill(field(-1));
  const answer = answerOf(page, performancePath);
  await page.getByRole("button", { name: "Apply" }).click();
  const { start, end, time_range: preset } = parametersOf(await answer);
  expect(preset).toBeUndefined();
  expect(Date.parse(end ?? "") - Date.parse(start ?? "")).toBe(2 * 86_400_000);
  await settled(page);
  expect(new URL(page.url()).searchParams.get("start")).toBe(start);
});

test.each([
  { name: "a start after the end", start: -1, end: -2, message: "The start must be before the end" },
  { name: "a range into the future", start: -1, end: 2, message: "The range must not reach into the future" },
  { name: "more than 90 days", start: -92, end: -1, message: "The range must not be longer than 90 days" },
  { name: "a start before the retention", start: -95, end: -60, message: "The start must not be older than 90 days" },
])("$name is refused inline, before the server is asked", async ({ start, end, message }) => {
  const { page } = await open();
  await page.getByRole("button", { name: "Custom" }).click();
  await page.getByLabel("Start", { exact: true }).fill(field(start));
  await page.getByLabel("End", { exact: true }).fill(field(end));
  const alert = page.getByRole("dialog").getByRole("alert");
  await expect.poll(() => alert.innerText()).toContain(message);
  expect(await page.getByRole("button", { name: "Apply" }).isDisabled()).toBe(true);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

test("days chosen in the calendar fill the fields", async () => {
  const { page } = await open();
  await page.getByRole("button", { name: "Custom" }).click();
  const days = page.locator("[data-slot=calendar] button[data-day]:not([disabled])");
  await days.first().waitFor();
  await days.nth(0).click();
  expect(await page.getByLabel("Start", { exact: true }).inputValue()).toMatch(/T00:00$/);
});
