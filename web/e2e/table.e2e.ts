import { readFile } from "node:fs/promises";

import type { Page } from "playwright-core";
import { expect, test } from "vitest";

import type { components } from "../src/api/schema.gen.ts";
import { answerOf, asked, column, settled, stage } from "./setup.ts";

type Row = components["schemas"]["EndpointMetrics"];

const { open, openWith } = stage();
const performancePath = "/api/v1/metrics/performance";

async function openWithRows() {
  let answered: Promise<readonly Row[]> = Promise.resolve([]);
  const opened = await openWith((page) => {
    answered = answerOf(page, performancePath).then(async (answer) => ((await answer.json()) as components["schemas"]["Performance"]).endpoints);
    return Promise.resolve();
  });
  await settled(opened.page);
  return { ...opened, rows: await answered };
}

/** The rows as the table orders them; the same path may belong to several apps. */
async function shownRows(page: Page, rows: readonly Row[]): Promise<Row[]> {
  const paths = await column(page, "Endpoints", "Path");
  const methods = await column(page, "Endpoints", "Method");
  const apps = new Set(rows.map(({ app }) => app)).size > 1 ? await column(page, "Endpoints", "App") : null;
  return paths.map((path, index) => {
    const found = rows.find((row) => row.endpoint === path && row.method === methods[index] && (apps === null || row.app === apps[index]));
    if (found === undefined) throw new Error(`${methods[index] ?? ""} ${path} is on the page and not in the answer`);
    return found;
  });
}

test("every endpoint is listed, without pages", async () => {
  const { page, rows } = await openWithRows();
  expect(await page.getByRole("table", { name: "Endpoints", exact: true }).locator("tbody tr").count()).toBe(rows.length);
});

const sortable: readonly { title: string; value: (row: Row) => number | string }[] = [
  { title: "Requests", value: (row) => row.request_count },
  { title: "Avg ms", value: (row) => row.avg_response_time_ms },
  { title: "p50 ms", value: (row) => row.p50_response_time_ms },
  { title: "p95 ms", value: (row) => row.p95_response_time_ms },
  { title: "p99 ms", value: (row) => (row.request_count < 20 ? -1 : row.p99_response_time_ms) },
  { title: "Errors", value: (row) => row.error_rate },
  { title: "Path", value: (row) => row.endpoint },
  { title: "Method", value: (row) => row.method },
];

test.each(sortable)("sorts by $title both ways", async ({ title, value }) => {
  const { page, rows } = await openWithRows();
  const header = page.getByRole("columnheader", { name: title, exact: true });
  for (const turn of [1, 2]) {
    await header.getByRole("button").click();
    const direction = await header.getAttribute("aria-sort");
    expect(direction, `click ${turn}`).toMatch(/ascending|descending/);
    const ordered = (await shownRows(page, rows)).map(value).filter((one) => one !== -1);
    const sign = direction === "ascending" ? 1 : -1;
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const wanted = ordered.toSorted((a, b) => sign * (typeof a === "number" && typeof b === "number" ? a - b : compare(String(a), String(b))));
    expect(ordered).toEqual(wanted);
  }
});

test("the filter narrows the rows without asking the server", async () => {
  const { page, rows } = await openWithRows();
  const addresses = asked(page);
  await page.keyboard.press("/");
  await page.keyboard.type("orders");
  const wanted = rows.filter(({ app, endpoint, method }) => `${method} ${endpoint} ${app}`.toLowerCase().includes("orders")).length;
  await expect.poll(async () => (await column(page, "Endpoints", "Path")).length).toBe(wanted);
  expect(addresses).toEqual([]);
  await page.keyboard.press("Escape");
  expect(await page.getByLabel("Filter endpoints").inputValue()).toBe("");
});

test("a method is asked of the server, for the charts and cards too", async () => {
  const { page } = await openWithRows();
  const addresses = asked(page);
  await page.getByLabel("Method").selectOption("POST");
  await settled(page);
  expect(new Set(await column(page, "Endpoints", "Method"))).toEqual(new Set(["POST"]));
  expect(addresses.filter((address) => address.includes("method=POST")).length).toBe(2);
});

test("endpoints with errors can be had alone", async () => {
  const { page, rows } = await openWithRows();
  await page.getByLabel("with errors").check();
  await expect.poll(async () => (await column(page, "Endpoints", "Path")).length).toBe(rows.filter((row) => row.error_count > 0).length);
});

test("few samples are told instead of a p99", async () => {
  const { page, rows } = await openWithRows();
  const few = rows.filter((row) => row.request_count < 20);
  const cells = await column(page, "Endpoints", "p99 ms");
  expect(cells.filter((cell) => cell.startsWith("n = ")).length).toBe(few.length);
});

test("arrow keys walk the rows, Enter opens one", async () => {
  const { page } = await openWithRows();
  const links = page.getByRole("table", { name: "Endpoints", exact: true }).locator("[data-row]");
  await links.first().focus();
  await page.keyboard.press("ArrowDown");
  const second = await links.nth(1).innerText();
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(second);
  await page.keyboard.press("Enter");
  await page.waitForURL(/view=endpoint/);
});

test("the CSV holds every row with full values", async () => {
  const { page, rows } = await openWithRows();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download Endpoints as CSV" }).click();
  const file = await download;
  expect(file.suggestedFilename()).toBe("lakepulse-endpoints.csv");
  const lines = (await readFile(await file.path(), "utf8")).replace("\uFEFF", "").trimEnd().split("\r\n");
  expect(lines.length).toBe(rows.length + 1);
  const names = lines[0]?.split(",") ?? [];
  expect(names).toEqual(expect.arrayContaining(["path", "method", "requests", "avg", "p50", "p95", "p99", "error_rate"]));
  const first = rows[0] as Row;
  const line = lines.find((candidate) => candidate.startsWith(`${first.endpoint},${first.method}`))?.split(",") ?? [];
  expect(Number(line[names.indexOf("avg")])).toBe(first.avg_response_time_ms);
  expect(Number(line[names.indexOf("error_rate")])).toBe(first.error_rate);
});

test("a chart's numbers are there as a table and as CSV", async () => {
  const { page } = await open("/?range=7d");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download Response time as CSV" }).click();
  const lines = (await readFile(await (await download).path(), "utf8")).trimEnd().split("\r\n");
  expect(lines[0]).toBe("\uFEFFtime,p50,p95,p99,avg,complete");
  // Seven days of hours, and the one that has begun.
  expect(lines.length - 1).toBeGreaterThanOrEqual(168);

  await page.getByRole("button", { name: "Show Response time as table" }).click();
  await page.getByRole("table", { name: "Response time", exact: true }).waitFor();
  expect(page.url()).toContain("tables=response");
});
