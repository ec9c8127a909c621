import type { Browser, BrowserContextOptions, Page, Response } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";

import { startBrowser } from "./browser.ts";

export interface Opened {
  readonly page: Page;
  /** What the browser complained about: scripts that failed, policies that were broken. */
  readonly complaints: string[];
}

export interface Stage {
  /** Opens the dashboard at an address such as `/?range=7d`, and waits until its numbers are there. */
  readonly open: (address?: string, options?: BrowserContextOptions) => Promise<Opened>;
  /** The same without waiting, after `prepare` has set its traps. */
  readonly openWith: (prepare: (page: Page) => Promise<unknown>, address?: string, options?: BrowserContextOptions) => Promise<Opened>;
}

/** One browser for a file of tests; a fresh context for each page. */
export function stage(): Stage {
  let browser: Browser | undefined;
  const opened: Opened[] = [];

  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(({ page }) => page.context().close()));
  });
  afterAll(async () => {
    await browser?.close();
  });

  const openWith: Stage["openWith"] = async (prepare, address = "/", options = {}) => {
    if (browser === undefined) throw new Error("the stage is set up before all tests");
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    opened.push({ page, complaints });
    await prepare(page);
    await page.goto(inject("url") + address);
    return { page, complaints };
  };

  const open: Stage["open"] = async (address, options) => {
    const result = await openWith(async () => {}, address, options);
    await settled(result.page);
    return result;
  };
  return { open, openWith };
}

/** Waits until nothing on the page is waiting for an answer. */
export async function settled(page: Page): Promise<void> {
  await page.locator("main h1").waitFor();
  await page.waitForFunction(() => document.querySelector("main [role=status], main [aria-busy=true]") === null);
}

/** Every API address asked for from now on, without the tracker's own batches. */
export function asked(page: Page): string[] {
  const addresses: string[] = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (request.method() === "GET" && url.pathname.startsWith("/api/")) addresses.push(url.pathname + url.search);
  });
  return addresses;
}

export function answerOf(page: Page, path: string): Promise<Response> {
  return page.waitForResponse((response) => new URL(response.url()).pathname === path);
}

export function parametersOf(response: Response): Record<string, string> {
  return Object.fromEntries(new URL(response.url()).searchParams);
}

/** The text of one column of a table, top to bottom. */
export async function column(page: Page, table: string, title: string): Promise<string[]> {
  const grid = page.getByRole("table", { name: table, exact: true });
  const titles = (await grid.getByRole("columnheader").allInnerTexts()).map((text) => text.trim());
  const index = titles.indexOf(title);
  expect(index, `${table} has a column ${title}, among ${titles.join(", ")}`).toBeGreaterThanOrEqual(0);
  return grid.locator(`tbody tr td:nth-child(${index + 1})`).allInnerTexts();
}

export const error = (status: number, message: string) => ({
  status,
  contentType: "application/json",
  headers: { "X-Correlation-ID": "test", ...(status === 503 ? { "Retry-After": "1" } : {}) },
  body: JSON.stringify({ error: "test", message, status_code: status }),
});
