// Clicks and the requests they cause, paired in the database: the clicks come from the tracker through the relay, the
// requests from the middleware of the same app.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { buildExample, startApp, startBrowser, startLakepulse, until } from "../lakepulse.js";

const CLICKS = 1_000;
const COLUMNS = 40;
const SIZE = 16;
const APP = "causes";

// Each button causes its requests in one of the ways apps do; the shop's answers take 5 to 80 ms, so that clicks, answers
// and what the answers start are interleaved. Besides, the page polls by itself. The correlation id says whose a request
// is in truth; the middleware keeps it beside the interaction id that is to be judged.
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body>
  <style>body { margin: 0; width: ${COLUMNS * SIZE}px; font-size: 0 } button { width: ${SIZE}px; height: ${SIZE}px; padding: 0; border: 0 }</style>
  <script src="/tracker.js" data-interval="500" data-link="/api/"></script>
  <script>
    const ask = (by) => fetch("/api/orders", { headers: { "X-Correlation-ID": by } });
    const askXHR = (by) => new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("GET", "/api/orders");
      request.setRequestHeader("X-Correlation-ID", by);
      request.onload = resolve;
      request.onerror = reject;
      request.send();
    });
    const ways = [
      (by) => ask(by),
      async (by) => { await null; await Promise.resolve(); await ask(by); },
      (by) => askXHR(by),
      async (by) => { await ask(by); await ask(by); },
      async (by) => { await askXHR(by); await askXHR(by); },
      (by) => Promise.resolve().then(() => fetch(new Request("/api/orders", { headers: { "X-Correlation-ID": by } }))),
    ];
    for (let i = 0; i < ${CLICKS}; i++) {
      const button = document.body.appendChild(document.createElement("button"));
      button.id = "b" + i;
      button.addEventListener("click", () => ways[i % ways.length](button.id));
    }
    setInterval(() => fetch("/api/orders/1", { headers: { "X-Correlation-ID": "poll" } }), 50);
  </script>`;

const resources = [];
let lakepulse, origin, browser;
before(async () => {
  lakepulse = await startLakepulse();
  resources.unshift(lakepulse.close);
  const shop = await buildExample("go");
  resources.unshift(shop.remove);
  const app = await startApp(() => [shop.program], { LAKEPULSE_URL: lakepulse.origin, LAKEPULSE_APP: APP, LAKEPULSE_TRACKER: await lakepulse.tracker() });
  resources.unshift(app.close);
  origin = app.origin;
  browser = await startBrowser();
  resources.unshift(() => browser.close());
});
after(async () => {
  for (const release of resources) await release();
});

test(`${CLICKS} interleaved clicks: interaction ids pair each with its requests`, async (t) => {
  const page = await browser.newPage();
  await page.route(`${origin}/page`, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  await page.goto(`${origin}/page`);
  assert.equal(await page.locator("button").count(), CLICKS);
  for (let i = 0; i < CLICKS; i++) {
    await page.mouse.click((i % COLUMNS) * SIZE + SIZE / 2, Math.floor(i / COLUMNS) * SIZE + SIZE / 2);
  }

  const expected = CLICKS + [3, 4].reduce((sum, way) => sum + Math.ceil((CLICKS - way) / 6), 0);
  const clicks = await until("every click is stored", async () => {
    const found = (await lakepulse.rows("usage", APP)).filter((row) => row.event_type === "button_click");
    return found.length >= CLICKS && found;
  });
  const requests = await until("every request is stored", async () => {
    const found = await lakepulse.rows("performance", APP);
    return found.filter((row) => row.correlation_id?.startsWith("b")).length >= expected && found;
  });

  const elementOf = new Map(clicks.map((row) => [row.interaction_id, row.element_id]));
  assert.equal(elementOf.size, CLICKS);
  const paired = requests.filter((row) => elementOf.has(row.interaction_id));
  const right = paired.filter((row) => elementOf.get(row.interaction_id) === row.correlation_id);
  const polls = requests.filter((row) => row.correlation_id === "poll").length;
  const precision = right.length / paired.length;
  const recall = right.length / expected;
  t.diagnostic(`precision ${precision.toFixed(4)}, recall ${recall.toFixed(4)}: ${paired.length} paired of ${expected}, ${polls} polls`);
  assert.ok(precision >= 0.99, `precision ${precision}`);
  assert.ok(recall >= 0.99, `recall ${recall}`);
  assert.ok(polls > 0, "it did poll");
  assert.deepEqual(requests.filter((row) => row.interaction_id && !elementOf.has(row.interaction_id)), []);
});
