// With the tracker on the page every request has the outcome it has without it: the server sees the same, and so does
// the page. Each call is made from a click, on a page without the tracker, with it, and with it and named paths.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launch } from './browser.js';

const script = readFileSync(new URL('../dist/lakepulse.js', import.meta.url));

/** Calls whose result may only depend on the arguments. `far` is another origin that allows `*` but no header of ours. */
const CALLS = `({
  plain: () => fetch('/api/echo'),
  url: () => fetch(new URL('/api/echo', location.href)),
  query: () => fetch('api/echo?a=1#b'),
  post: () => fetch('/api/echo', { method: 'POST', body: 'x' }),
  json: () => fetch('/api/echo', { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{}' }),
  form: () => fetch('/api/echo', { method: 'POST', body: new URLSearchParams({ a: '1' }) }),
  headers: () => fetch('/api/echo', { headers: new Headers({ 'x-a': '1' }) }),
  pairs: () => fetch('/api/echo', { headers: [['x-a', '1'], ['x-b', '2']] }),
  once: () => fetch('/api/echo', { headers: new Map([['x-a', '1']]).entries() }),
  request: () => fetch(new Request('/api/echo', { method: 'DELETE', headers: { 'x-a': '1' } })),
  over: () => fetch(new Request('/api/echo', { headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } }),
  asInit: () => fetch('/api/echo', new Request('/api/other', { method: 'DELETE' })),
  body: () => fetch(new Request('/api/echo', { method: 'POST', body: 'from the request' })),
  inherited: () => fetch('/api/echo', Object.create({ method: 'PATCH', body: 'p' })),
  getter: () => fetch('/api/echo', { get method() { return 'OPTIONS'; } }),
  stream: () => fetch('/api/echo', { method: 'POST', duplex: 'half', body: new Blob(['s']).stream() }),
  keepalive: () => fetch('/api/echo', { method: 'POST', keepalive: true, body: 'k' }),
  sameOriginOnly: () => fetch('/api/echo', { mode: 'same-origin' }),
  noCors: () => fetch('/api/echo', { mode: 'no-cors' }),
  omit: () => fetch('/api/echo', { credentials: 'omit' }),
  integrity: () => fetch('/api/echo', { integrity: 'sha256-AAAA' }),
  follow: () => fetch('/api/redirect?to=/api/echo'),
  followPost: () => fetch('/api/redirect?to=/api/echo', { method: 'POST', body: 'x' }),
  manual: () => fetch('/api/redirect?to=/api/echo', { redirect: 'manual' }),
  refuse: () => fetch('/api/redirect?to=/api/echo', { redirect: 'error' }),
  missing: () => fetch('/api/missing'),
  away: () => fetch('http://127.0.0.1:1/'),
  invalid: () => fetch('http://['),
  noArguments: () => fetch(),
  badMethod: () => fetch('/api/echo', { method: 'A B' }),
  badBody: () => fetch('/api/echo', { body: 'x' }),
  used: async () => { const r = new Request('/api/echo', { method: 'POST', body: 'x' }); await r.text(); return fetch(r); },
  aborted: () => { const c = new AbortController(); c.abort(new Error('mine')); return fetch('/api/echo', { signal: c.signal }); },
  abortedLater: () => { const c = new AbortController(); setTimeout(() => c.abort(), 20); return fetch('/api/echo?delay=2000', { signal: c.signal }); },
  symbol: () => fetch(Symbol()),
  text: () => fetch({ toString: () => '/api/echo' }),
  far: () => fetch(far + '/api/echo'),
  farRedirect: () => fetch('/other/redirect?to=' + encodeURIComponent(far + '/api/echo')),
  thisIsNone: () => fetch.call(undefined, '/api/echo'),
  thisIsWrong: () => fetch.call({}, '/api/echo'),
  xhr: () => xhr((x) => { x.open('GET', '/api/echo'); x.send(); }),
  xhrPost: () => xhr((x) => { x.open('POST', '/api/echo', true); x.setRequestHeader('x-a', '1'); x.send('x'); }),
  xhrSync: () => { const x = new XMLHttpRequest(); x.open('GET', '/api/echo', false); x.send(); return Promise.resolve(x.responseText); },
  xhrFollow: () => xhr((x) => { x.open('GET', '/api/redirect?to=/api/echo'); x.send(); }),
  xhrFar: () => xhr((x) => { x.open('GET', far + '/api/echo'); x.send(); }),
  xhrFarRedirect: () => xhr((x) => { x.open('GET', '/other/redirect?to=' + encodeURIComponent(far + '/api/echo')); x.send(); }),
  xhrAway: () => xhr((x) => { x.open('GET', 'http://127.0.0.1:1/'); x.send(); }),
  xhrInvalid: () => xhr((x) => { x.open('GET', 'http://['); x.send(); }),
  xhrBadMethod: () => xhr((x) => { x.open('A B', '/api/echo'); x.send(); }),
  xhrAgain: () => xhr((x) => { x.open('GET', '/api/missing'); x.open('GET', '/api/echo'); x.send(); }),
  xhrTimeout: () => xhr((x) => { x.open('GET', '/api/echo?delay=2000'); x.timeout = 30; x.send(); }),
  xhrType: () => xhr((x) => { x.open('GET', '/api/echo'); x.responseType = 'arraybuffer'; x.send(); }),
  xhrReturns: () => { const x = new XMLHttpRequest(); return Promise.resolve(String(x.open('GET', '/api/echo'))); },
  xhrNoArguments: () => xhr((x) => x.open()),
  promise: () => { const p = fetch('/api/echo'); return p.then(() => p instanceof Promise && Object.keys(p).length === 0); },
  throwsLater: () => { let sync = true; const p = fetch('http://[').catch(() => sync); sync = false; return p; },
})`;

const page = (tag: string, far: string) => `<!doctype html><meta charset="utf-8"><body><button id="go">go</button>
  <script>var event = { title: 'x' };</script>${tag}
  <script>
    const far = '${far}';
    const xhr = (work) => new Promise((resolve, reject) => {
      const x = new XMLHttpRequest();
      for (const name of ['load', 'error', 'abort', 'timeout'])
        x.addEventListener(name, () => resolve([name, x.status, x.responseType ? x.response?.byteLength > 0 : x.responseText, x.responseURL.replace(location.origin, '')]));
      work(x);
    });
    const calls = ${CALLS};
    const say = async (r) => r instanceof Response ? [r.status, r.type, r.redirected, r.url.replace(location.origin, '').replace(far, 'far'), await r.text()] : r;
    go.addEventListener('click', async () => {
      const results = {};
      for (const [name, call] of Object.entries(calls)) {
        try { results[name] = await say(await call()); }
        catch (error) { results[name] = 'failed: ' + error.name + ': ' + error.message.replaceAll(far, 'far').replaceAll(location.origin, ''); }
      }
      window.results = results;
    });
  </script>`;

let browser: Browser;
const servers: Server[] = [];
let near = '';
let far = '';

const ours = /^x-lakepulse-/;

const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(request.url!, near);
  let body = '';
  for await (const part of request) body += String(part);
  if (url.pathname === '/lakepulse.js') return void response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
  if (url.pathname.endsWith('/redirect')) return void response.writeHead(302, { Location: url.searchParams.get('to')! }).end();
  if (url.pathname === '/api/v1/metrics/usage-events') return void response.writeHead(202).end('{}');
  if (url.pathname === '/api/missing') return void response.writeHead(404).end('missing');
  if (url.pathname === '/api/echo') {
    const own = Object.entries(request.headers).filter(([name]) => /^x-[ab]$|^content-type$/.test(name));
    const text = JSON.stringify({ method: request.method, search: url.search, own, body });
    const cors = request.headers.origin && !request.headers.origin.includes(new URL(near).port) ? {} : { 'Access-Control-Allow-Origin': '*' };
    if (Object.keys(request.headers).some((name) => ours.test(name)) && request.headers.host === new URL(far).host) throw new Error('a header of ours went far');
    setTimeout(() => response.writeHead(200, cors).end(text), Number(url.searchParams.get('delay') ?? 0));
    return;
  }
  const tag = { '/without': '', '/with': '<script src="/lakepulse.js"></script>', '/linked': '<script src="/lakepulse.js" data-link="/api/"></script>' };
  response.writeHead(200, { 'Content-Type': 'text/html' }).end(page(tag[url.pathname as keyof typeof tag] ?? '', far));
};

const listen = async (): Promise<string> => {
  const server = createServer((request, response) => void answer(request, response));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

beforeAll(async () => {
  near = await listen();
  far = await listen();
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const resultsOf = async (path: string): Promise<Record<string, unknown>> => {
  const tab = await browser.newPage();
  await tab.goto(near + path);
  await tab.click('#go');
  await tab.waitForFunction('window.results');
  const results = (await tab.evaluate('window.results')) as Record<string, unknown>;
  await tab.close();
  return results;
};

it('every request has the same outcome with the tracker as without it', async () => {
  const without = await resultsOf('/without');
  expect(Object.keys(without).length).toBeGreaterThanOrEqual(55);
  expect(without.farRedirect).toEqual(expect.arrayContaining([200]));
  expect(await resultsOf('/with')).toEqual(without);
  expect(await resultsOf('/linked')).toEqual(without);
});
