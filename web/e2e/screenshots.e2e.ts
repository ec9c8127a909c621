import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";

import { startBrowser } from "./browser.ts";

const folder = fileURLToPath(new URL("./screenshots/", import.meta.url));

let browser: Browser;

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
});

const views = {
  metrics: "/?range=24h",
  "metrics-90d": "/?range=90d",
  usage: "/?view=usage&range=30d",
  pipeline: "/?view=pipeline",
  endpoint: "/?view=endpoint&endpoint=%2Fapi%2Fv1%2Forders%2F%7Bid%7D&method=GET&range=7d",
  event: "/?view=event&event_type=page_view&range=7d",
  requests: "/?view=requests&status=error",
  dead: "/?view=dead&sequence=3",
} as const;

const sizes = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } } as const;

for (const theme of ["light", "dark"] as const) {
  for (const [size, viewport] of Object.entries(sizes)) {
    test(`every view is drawn, ${theme}, ${size}`, async () => {
      const page = await browser.newPage({ viewport, colorScheme: theme });
      for (const [name, address] of Object.entries(views)) {
        await page.goto(inject("url") + address);
        await page.locator("main h1").waitFor();
        await page.waitForLoadState("networkidle");
        await page.screenshot({ path: `${folder}${name}-${size}-${theme}.png`, fullPage: true, animations: "disabled" });
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(sideways, `${name} scrolls sideways`).toBeLessThanOrEqual(0);
      }
      await page.close();
    });
  }
}
