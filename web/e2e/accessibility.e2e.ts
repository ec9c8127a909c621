import axe from "axe-core";
import { describe, expect, test } from "vitest";

import { settled, stage } from "./setup.ts";

const { open } = stage();

const views = {
  metrics: "/?range=7d",
  "metrics as tables": "/?range=7d&tables=response,requests,events",
  usage: "/?view=usage&range=7d",
  pipeline: "/?view=pipeline",
  endpoint: "/?view=endpoint&endpoint=%2Fapi%2Fv1%2Forders%2F%7Bid%7D&method=GET&range=7d",
  event: "/?view=event&event_type=page_view",
  requests: "/?view=requests&status=error",
} as const;

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

describe.each(["light", "dark"] as const)("in the %s theme", (colorScheme) => {
  test.each(Object.entries(views))("%s has no violation of WCAG 2.1 AA and no complaint of the browser", async (_name, address) => {
    const { page, complaints } = await open(address, { colorScheme });
    if (address.startsWith("/?range=7d") || address.includes("usage")) await page.locator(".recharts-surface, table").first().waitFor();
    // Evaluated over the debugging protocol, which the page's own policy does not bind.
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async () => {
      const runner = (window as unknown as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } }).axe;
      const result = await runner.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
      return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
    });
    expect(violations).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

test("an open popover has no violation either", async () => {
  const { page } = await open();
  await page.getByRole("button", { name: "Custom" }).click();
  await page.locator("[data-slot=calendar]").waitFor();
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const runner = (window as unknown as { axe: { run: (context: string, options: object) => Promise<{ violations: Violation[] }> } }).axe;
    const result = await runner.run("[role=dialog]", { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
  });
  expect(violations).toEqual([]);
});

test.each([360, 768, 1280, 2560])("nothing scrolls sideways at a width of %i", async (width) => {
  const { page } = await open("/?range=7d", { viewport: { width, height: 900 } });
  for (const address of Object.values(views)) {
    await page.goto(new URL(address, page.url()).href);
    await settled(page);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(sideways, address).toBeLessThanOrEqual(0);
  }
});

test("the chosen theme is kept", async () => {
  const { page } = await open("/", { colorScheme: "light" });
  await page.getByRole("button", { name: "Use the dark theme" }).click();
  expect(await page.evaluate(() => document.documentElement.className)).toContain("dark");
  await page.reload();
  await settled(page);
  await page.getByRole("button", { name: "Use the light theme" }).waitFor();
});

test("charts carry a name and are not needed for the page to work", async () => {
  const { page } = await open();
  const names = await page.locator("main figure").evaluateAll((figures) => figures.map((figure) => figure.getAttribute("aria-label") ?? ""));
  expect(names.length).toBeGreaterThanOrEqual(3);
  expect(names.every((name) => name.length > 20)).toBe(true);
});
