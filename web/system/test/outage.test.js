// The tracker in three tabs of an app with a relay, while the real server is killed and away, tabs reload and close.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { buildExample, pause, startApp, startBrowser, startLakepulse, until } from "../lakepulse.js";

const ACTIONS = 1_000;
const AWAY = Number(process.env.OUTAGE_SECONDS ?? 15) * 1_000;
const APP = "outage";

// Each id is written down when it is made, where reloads and closed tabs leave it. The page's API is the shop's.
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
  <button id="b0">0</button><button id="b1">1</button><button id="b2">2</button><button id="b3">3</button>
  <form><input name="q"><button id="submit">go</button></form>
  <script src="/tracker.js" data-manual="true"></script>
  <script>
    document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    lakepulse.init({
      interval: 1000, debounce: 1,
      before: (event) => { localStorage["made:" + event.id] = event.session_id; return event; },
    });
  </script>`;

const resources = [];
let lakepulse, origin, context;
before(async () => {
  lakepulse = await startLakepulse();
  resources.unshift(lakepulse.close);
  const shop = await buildExample("go");
  resources.unshift(shop.remove);
  const app = await startApp(() => [shop.program], { LAKEPULSE_URL: lakepulse.origin, LAKEPULSE_APP: APP, LAKEPULSE_TRACKER: await lakepulse.tracker() });
  resources.unshift(app.close);
  origin = app.origin;
  const browser = await startBrowser();
  resources.unshift(() => browser.close());
  context = await browser.newContext();
  await context.route(`${origin}/page/**`, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
});
after(async () => {
  for (const release of resources) await release();
});

const open = async (name) => {
  const page = await context.newPage();
  await page.goto(`${origin}/page/${name}`);
  return page;
};

/** Closes a tab as a person does: the page is told. */
const closeTab = async (page) => {
  const closed = page.waitForEvent("close");
  await page.close({ runBeforeUnload: true });
  await closed;
};

/** One of what people do; every 40th is a reload or a closed tab, answered with the tab to go on with. */
const act = async (page, i) => {
  if (i % 80 === 79) {
    await closeTab(page);
    return open(`new${i}`);
  }
  if (i % 40 === 39) {
    await page.reload();
    return page;
  }
  await page.evaluate((n) => {
    if (n % 10 === 7) history.pushState(null, "", `/page/view${n}`);
    else document.querySelector(n % 10 === 3 ? "#submit" : `#b${n % 4}`).click();
  }, i);
  return page;
};

const keys = (page, prefix) =>
  page.evaluate((start) => Object.keys(localStorage).filter((key) => key.startsWith(start)).map((key) => key.slice(start.length)), prefix);

test(`${ACTIONS} actions in three tabs, the server killed and away for ${AWAY / 1_000} s: what was made is stored, once`, async (t) => {
  const tabs = [await open("a"), await open("b"), await open("c")];
  let away = 0;
  for (let i = 0; i < ACTIONS; i++) {
    if (i === 300) {
      await lakepulse.kill();
      away = Date.now();
    }
    if (i === 650) {
      await pause(Math.max(0, AWAY - (Date.now() - away)));
      await lakepulse.start();
    }
    // Tabs take turns by runs of five, so that each is in the background between them.
    const tab = Math.floor(i / 5) % 3;
    tabs[tab] = await act(tabs[tab], i);
  }

  const accounts = await until("every tab's account to be settled", async () => {
    const found = await Promise.all(tabs.map((tab) => tab.evaluate(() => lakepulse.reconcile()).catch(() => undefined)));
    const waiting = await keys(tabs[0], "lakepulse:");
    return waiting.length === 0 && found.every((account) => account && account.pending === 0 && account.missing === 0) && found;
  });
  const made = await keys(tabs[0], "made:");
  // What a closed tab left was accepted last, and no account above counts it: the writer may still be at it.
  const rows = await until("as many rows as events were made", async () => {
    const found = await lakepulse.rows("usage", APP);
    return found.length >= made.length && found;
  });
  const dropped = accounts.reduce((sum, account) => sum + account.dropped, 0);
  t.diagnostic(`${made.length} made, ${rows.length} stored, ${dropped} reported as dropped`);

  assert.ok(made.length >= ACTIONS);
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length, "no id twice");
  assert.equal(dropped, 0);
  assert.deepEqual(rows.map((row) => row.id).sort(), made.sort());

  // Within each session the numbers have no gap.
  for (const [session, own] of grouped(rows)) {
    const numbers = own.map((row) => row.seq).sort((a, b) => a - b);
    assert.deepEqual(numbers, numbers.map((_, i) => i + 1), session);
  }
});

const grouped = (rows) => {
  const groups = new Map();
  for (const row of rows) groups.set(row.session_id, [...(groups.get(row.session_id) ?? []), row]);
  return groups;
};
