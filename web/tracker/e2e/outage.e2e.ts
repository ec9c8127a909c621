import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Reconciliation } from '../src/types.js';
import { closeTab, launch, until } from './browser.js';
import { startServer, type FakeServer } from './server.js';

const ACTIONS = 1_000;

/** How long nothing happens in the middle of the outage, so that attempts run out: with the page's times, many flushes. */
const OUTAGE = 3_000;

// Each id is written down when it is made, where reloads and closed tabs leave it. Times are a tenth of the defaults.
const PAGE = `
  <button id="b0">0</button><button id="b1">1</button><button id="b2">2</button><button id="b3">3</button>
  <form id="form"><input name="q"><button id="submit">go</button></form>
  <script src="/lakepulse.js" data-manual="true"></script>
  <script>
    document.querySelector('form').addEventListener('submit', (event) => event.preventDefault());
    lakepulse.init({
      interval: 1000, retry: 100, debounce: 1,
      before: (event) => { localStorage['made:' + event.id] = event.session_id; return event; },
    });
  </script>`;

let server: FakeServer;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  server = await startServer({ '/': PAGE });
  browser = await launch();
  context = await browser.newContext();
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

const open = async (path = '/'): Promise<Page> => {
  const page = await context.newPage();
  await page.goto(server.origin + path);
  return page;
};

/** One of what people do; every 40th is a reload or a closed tab, answered with the tab to go on with. */
const act = async (page: Page, i: number): Promise<Page> => {
  if (i % 80 === 79) {
    await closeTab(page);
    return open(`/new${i}`);
  }
  if (i % 40 === 39) {
    await page.reload();
    return page;
  }
  await page.evaluate((n) => {
    if (n % 10 === 7) history.pushState(null, '', `/view${n}`);
    else document.querySelector<HTMLElement>(n % 10 === 3 ? '#submit' : `#b${n % 4}`)!.click();
  }, i);
  return page;
};

const made = (page: Page): Promise<string[]> =>
  page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('made:')).map((key) => key.slice(5)));

const waiting = (page: Page): Promise<number> =>
  page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('lakepulse:')).length);

it(`${ACTIONS} actions in three tabs, the server away in the middle, answers lost: what was made is stored, once`, async () => {
  const tabs = [await open(), await open(), await open()];
  const moods: Record<number, FakeServer['mood']> = { 250: 'forgetful', 300: 'down', 500: 'unavailable', 650: 'up', 800: 'forgetful', 820: 'up' };
  for (let i = 0; i < ACTIONS; i++) {
    server.mood = moods[i] ?? server.mood;
    if (i === 500) await new Promise((resolve) => setTimeout(resolve, OUTAGE));
    // Tabs take turns by runs of five, so that each is in the background between them.
    const tab = Math.floor(i / 5) % 3;
    tabs[tab] = await act(tabs[tab]!, i);
  }
  await until(async () => (await waiting(tabs[0]!)) === 0);

  const ids = await made(tabs[0]!);
  expect(ids.length).toBeGreaterThanOrEqual(ACTIONS);
  expect([...server.stored.keys()].sort()).toEqual(ids.sort());
  expect(server.dropped).toBe(0);

  // Within each session the numbers have no gap.
  const sessions = new Map<string, number[]>();
  for (const event of server.stored.values()) {
    sessions.set(event.session_id, [...(sessions.get(event.session_id) ?? []), event.seq]);
  }
  for (const seqs of sessions.values()) {
    expect(seqs.sort((a, b) => a - b)).toEqual(seqs.map((_, i) => i + 1));
  }

  // Two tabs never sent the same: the once-only rule had work to do only where an answer was lost, or its page was left
  // before it could see it (and sent a beacon).
  const twice = [...server.answered.values()].filter((times) => times.fetch > 1 && !times.beacon);
  expect(twice).toEqual([]);

  for (const tab of tabs) {
    const account = await tab.evaluate(() =>
      (window as unknown as { lakepulse: { reconcile(): Promise<Reconciliation> } }).lakepulse.reconcile(),
    );
    expect(account).toMatchObject({ stored: account.created, pending: 0, dropped: 0, missing: 0 });
  }
});
