import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launch, until } from './browser.js';
import { startServer, type FakeServer } from './server.js';

const CLICKS = 1_000;
const COLUMNS = 40;
const SIZE = 16;

// Each button causes its requests in one of the ways apps do; answers take their time, so that clicks, answers and what
// the answers start are interleaved. Besides, the page polls by itself.
const PAGE = `
  <style>body { margin: 0; width: ${COLUMNS * SIZE}px; font-size: 0 } button { width: ${SIZE}px; height: ${SIZE}px; padding: 0; border: 0 }</style>
  <script src="/lakepulse.js" data-interval="500" data-link="/api/"></script>
  <script>
    const get = (url) => new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('GET', url);
      request.onload = resolve;
      request.onerror = reject;
      request.send();
    });
    const ways = [
      (url) => fetch(url),
      async (url) => { await null; await Promise.resolve(); await fetch(url); },
      (url) => get(url),
      async (url) => { await fetch(url); await fetch(url + '&then'); },
      async (url) => { await get(url); await get(url + '&then'); },
      (url) => Promise.resolve().then(() => fetch(new Request(url))),
    ];
    for (let i = 0; i < ${CLICKS}; i++) {
      const button = document.body.appendChild(document.createElement('button'));
      button.id = 'b' + i;
      button.addEventListener('click', () => ways[i % ways.length]('/api/work?button=b' + i + '&delay=' + (i * 37 % 60)));
    }
    const poll = () => fetch('/api/poll?delay=5').then(() => setTimeout(poll, 3));
    poll();
    poll();
  </script>`;

let server: FakeServer;
let browser: Browser;

beforeAll(async () => {
  server = await startServer({ '/': PAGE });
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

it(`${CLICKS} interleaved clicks: interaction ids pair each with its requests`, async () => {
  const page = await browser.newPage();
  await page.goto(server.origin);
  for (let i = 0; i < CLICKS; i++) {
    await page.mouse.click((i % COLUMNS) * SIZE + SIZE / 2, Math.floor(i / COLUMNS) * SIZE + SIZE / 2);
  }
  const clicks = () => [...server.stored.values()].filter((event) => event.event_type === 'button_click');
  const expected = CLICKS + Math.floor(CLICKS / 6) * 2 + Math.max(0, (CLICKS % 6) - 3);
  const work = () => server.calls.filter((call) => call.url.pathname === '/api/work');
  await until(() => clicks().length === CLICKS && work().length === expected);

  const elementOf = new Map(clicks().map((event) => [event.interaction_id, event.element_id]));
  expect(elementOf.size).toBe(CLICKS);
  const marked = server.calls.filter((call) => call.interaction);
  const right = marked.filter((call) => elementOf.get(call.interaction) === call.url.searchParams.get('button'));
  const precision = right.length / marked.length;
  const recall = right.length / expected;
  console.log(`precision ${precision.toFixed(4)}, recall ${recall.toFixed(4)}, ${server.calls.length - expected} polls`);
  expect(precision).toBeGreaterThanOrEqual(0.99);
  expect(recall).toBeGreaterThanOrEqual(0.99);
  expect(server.calls.length).toBeGreaterThan(expected); // it did poll
  expect(new Set(marked.map((call) => call.session)).size).toBe(1);
});
