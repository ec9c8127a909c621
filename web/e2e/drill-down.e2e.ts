import type { Locator, Page } from "playwright-core";
import { expect, test } from "vitest";

import { answerOf, column, parametersOf, settled, stage } from "./setup.ts";

const { open } = stage();

test("an endpoint opens its own view, and Escape comes back to the same list", async () => {
  const { page } = await open("/?range=7d&sort.endpoints=-p95");
  const before = await column(page, "Endpoints", "Path");
  const answer = answerOf(page, "/api/v1/metrics/endpoint");
  await page.getByRole("table", { name: "Endpoints", exact: true }).locator("[data-row]").first().click();
  expect(parametersOf(await answer)).toMatchObject({ endpoint: before[0], time_range: "7d", interval: "hourly" });
  await settled(page);
  await page.getByRole("heading", { level: 1 }).getByText(before[0] ?? "").waitFor();
  for (const title of ["Response time", "Requests and errors", "Status codes", "Error types", "Slowest requests", "Users"]) {
    await page.getByRole("region", { name: title }).waitFor();
  }
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Application Metrics" }).waitFor();
  await settled(page);
  expect(page.url()).toContain("sort.endpoints=-p95");
});

test("an error rate leads to the requests behind it", async () => {
  const { page } = await open();
  const answer = answerOf(page, "/api/v1/metrics/requests");
  await page.getByRole("group", { name: "Error rate" }).getByRole("link").click();
  expect(parametersOf(await answer)).toMatchObject({ status_class: "error" });
  await settled(page);
  const statuses = await column(page, "Latest requests", "Status");
  expect(statuses.length).toBeGreaterThan(0);
  expect(statuses.every((status) => Number(status) >= 400)).toBe(true);
});

test("requests can be had slowest first, filtered, and exported whole", async () => {
  const { page } = await open("/?view=requests&range=7d");
  const answer = answerOf(page, "/api/v1/metrics/requests");
  await page.getByLabel("Order").selectOption("slowest");
  expect(parametersOf(await answer)).toMatchObject({ order: "slowest" });
  await settled(page);
  await page.getByLabel("Status", { exact: true }).selectOption("5xx");
  const link = page.getByRole("link", { name: "all as json" });
  await expect.poll(() => link.getAttribute("href")).toContain("status_class=5xx");
  const address = new URL((await link.getAttribute("href")) ?? "", page.url());
  expect(Object.fromEntries(address.searchParams)).toMatchObject({ kind: "performance", format: "ndjson", time_range: "7d" });
});

test("a bucket of a chart leads to its requests, a dragged stretch becomes the range", async () => {
  const { page } = await open();
  const chart = page.getByRole("region", { name: "Requests and errors" }).locator(".recharts-wrapper");
  const box = await chart.boundingBox();
  if (box === null) throw new Error("the chart has no place");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.3, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.4, y, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.5, y, { steps: 4 });
  const dragged = answerOf(page, "/api/v1/metrics/performance");
  await page.mouse.up();
  const { start, end } = parametersOf(await dragged);
  const hours = (Date.parse(end ?? "") - Date.parse(start ?? "")) / 3_600_000;
  expect(hours).toBeGreaterThan(3);
  expect(hours).toBeLessThan(8);
  await settled(page);

  await chart.waitFor();
  const again = await chart.boundingBox();
  if (again === null) throw new Error("the chart has no place");
  const clicked = answerOf(page, "/api/v1/metrics/requests");
  await page.mouse.move(again.x + again.width * 0.6, again.y + again.height / 2);
  await page.mouse.click(again.x + again.width * 0.6, again.y + again.height / 2);
  const bucket = parametersOf(await clicked);
  expect(Date.parse(bucket.end ?? "") - Date.parse(bucket.start ?? "")).toBe(300_000);
});

test("one tooltip tells of both charts", async () => {
  const { page } = await open("/?range=90d");
  const tooltip = await hover(page, 0.4);
  await expect.poll(() => tooltip.innerText()).toMatch(/p95[\s\S]*succeeded[\s\S]*errors/);
  expect(await tooltip.innerText()).toContain("UTC");
});

test("a bucket without requests says so", async () => {
  // By night five minutes often pass without one: of so many buckets some have none.
  const { page } = await open("/?range=24h");
  const texts: string[] = [];
  for (let at = 0.05; at < 0.95; at += 0.02) {
    const tooltip = await hover(page, at);
    await expect.poll(() => tooltip.innerText(), { message: `at ${at}` }).toContain("UTC");
    texts.push(await tooltip.innerText());
  }
  expect(texts.filter((text) => text.includes("nothing recorded"))).not.toHaveLength(0);
});

/** Points at a place of the lower chart, and returns the tooltip, which is the upper one's. */
async function hover(page: Page, share: number): Promise<Locator> {
  const chart = page.getByRole("region", { name: "Requests and errors" }).locator(".recharts-wrapper");
  const box = await chart.boundingBox();
  if (box === null) throw new Error("the chart has no place");
  await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
  return page.getByRole("region", { name: "Response time" }).locator(".recharts-tooltip-wrapper");
}

test("an event type opens its pages, elements and users", async () => {
  const { page } = await open("/?view=usage&range=7d");
  const types = page.getByRole("region", { name: "Events by type" });
  const type = await types.locator("[data-row]").first().innerText();
  await types.locator("[data-row]").first().click();
  await page.getByRole("heading", { name: type, level: 1 }).waitFor();
  await settled(page);
  for (const title of ["Events over time", "Pages", "Elements", "Users"]) await page.getByRole("region", { name: title }).waitFor();
  await page.getByRole("button", { name: "Back" }).click();
  await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
});

test("usage can be narrowed to one event type and drawn by the day", async () => {
  const { page } = await open("/?view=usage&range=7d");
  const answer = answerOf(page, "/api/v1/metrics/usage");
  await page.getByLabel("Width of buckets").selectOption("daily");
  expect(parametersOf(await answer)).toMatchObject({ interval: "daily" });
  await settled(page);
  const narrowed = answerOf(page, "/api/v1/metrics/usage");
  await page.getByLabel("Event type").selectOption({ index: 1 });
  expect(parametersOf(await narrowed)).toHaveProperty("event_type");
});

test("the pipeline shows its parts", async () => {
  const { page } = await open("/?view=pipeline");
  for (const title of ["Writers", "Ledger of events", "Row governance", "Aggregation runs", "Dead letters"]) {
    await page.getByRole("region", { name: title }).waitFor();
  }
});

test("the source of a number tells its precision, samples and completeness", async () => {
  const { page } = await open("/?range=30d");
  await page.getByRole("button", { name: "Source of Response time" }).click();
  const dialog = page.getByRole("dialog", { name: "Source of Response time" });
  const text = await dialog.innerText();
  expect(text).toMatch(/Precision/);
  expect(text).toMatch(/n = [\d,]+/);
  expect(text).toMatch(/Complete to/);
});
