// One tracker on one page per call of `load`: modules anew, the page's globals as they were, a server that answers as it
// is told, a clock that stands still.

import { afterEach, beforeEach, expect, vi } from 'vitest';
import { fakeStorage, type FakeStorage } from './storage.js';
import type * as Tracker from '../src/index.js';
import type { Options, UsageEvent } from '../src/types.js';

export type Answer = { status?: number; body?: unknown; headers?: Record<string, string> } | 'network error';

export interface Sent {
  url: string;
  events: UsageEvent[];
  dropped: number;
}

export const START = Date.parse('2026-03-02T10:00:00.000Z');

/** What the server says to the next requests, then to all others. */
export const server = {
  answers: [] as (Answer | ((events: UsageEvent[]) => Answer))[],
  otherwise: {} as Answer | ((events: UsageEvent[]) => Answer),
  count: 0 as number | Answer,
  /** Batches by fetch, in order of arrival. */
  batches: [] as Sent[],
  /** Batches by beacon. */
  beacons: [] as Sent[],
  /** Questions for the count. */
  questions: [] as URL[],
  /** Requests of the page itself, with their headers. */
  page: [] as { url: string; method: string; headers: Headers }[],
  beaconAccepted: true,
};

export let local: FakeStorage;
export let tab: FakeStorage;

/** Types of events somebody has listened to since the page was loaded. */
export let listened: string[] = [];

const undo: (() => void)[] = [];
const native = { pushState: history.pushState, replaceState: history.replaceState, open: XMLHttpRequest.prototype.open };

const parse = (url: string, body: unknown): Sent => ({ url, ...(JSON.parse(String(body)) as Omit<Sent, 'url'>) });

const respond = (answer: Answer): Response => {
  if (answer === 'network error') throw new TypeError('Failed to fetch');
  const { status = 202, body = {}, headers = {} } = answer;
  return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
};

const fakeFetch = vi.fn(async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
  const url = String((input as Request).url || input);
  if (url.includes('/usage-events')) {
    const sent = parse(url, init?.body);
    server.batches.push(sent);
    const answer = server.answers.shift() ?? server.otherwise;
    return respond(typeof answer === 'function' ? answer(sent.events) : answer);
  }
  if (url.includes('/usage/count')) {
    server.questions.push(new URL(url, location.href));
    return typeof server.count === 'number' ? respond({ status: 200, body: { count: server.count } }) : respond(server.count);
  }
  server.page.push({ url, method: init?.method ?? (input as Request).method, headers: new Headers(init?.headers ?? (input as Request).headers) });
  return respond({ status: 200 });
});

/** As in a page: addresses are relative to it. Node's own takes absolute ones only. */
class PageRequest extends Request {
  constructor(input: RequestInfo | URL, init?: RequestInit) {
    super(typeof input === 'string' ? new URL(input, document.baseURI) : input, init);
  }
}
window.Request = PageRequest;

/** The page is gone: its timers, listeners and patches too; storage stays. */
export const unload = (): void => {
  const now = Date.now();
  vi.clearAllTimers(); // and resets the clock
  vi.setSystemTime(now);
  while (undo.length) undo.pop()!();
  Object.assign(history, { pushState: native.pushState, replaceState: native.replaceState });
  XMLHttpRequest.prototype.open = native.open;
  window.fetch = fakeFetch as typeof fetch;
  delete (window as { __lakepulse?: boolean }).__lakepulse;
  vi.resetModules();
};

/** A page load: a fresh copy of the tracker, started. */
export const load = async (options: Options | null = {}): Promise<typeof Tracker> => {
  unload();
  listened = [];
  for (const target of new Set<EventTarget>([globalThis, window, document])) {
    const add = target.addEventListener;
    target.addEventListener = (...args: Parameters<EventTarget['addEventListener']>) => {
      add.apply(target, args);
      listened.push(args[0]);
      undo.push(() => target.removeEventListener(...(args as Parameters<EventTarget['removeEventListener']>)));
    };
    undo.push(() => void (target.addEventListener = add));
  }
  const tracker = await import('../src/index.js');
  if (options) tracker.init(options);
  return tracker;
};

/** What the queue and the store hold goes, as if ten seconds had passed; answers with all events sent so far. */
export const drain = async (): Promise<UsageEvent[]> => {
  await vi.advanceTimersByTimeAsync(10_000);
  return events();
};

export const events = (): UsageEvent[] => server.batches.flatMap((batch) => batch.events);

export const types = (): string[] => events().map((event) => event.event_type);

/** The events that wait in the store, with the mark of those their page is still going to send. */
export const stored = (): { id: string; parked: boolean; event: UsageEvent }[] =>
  Object.keys(local.keys)
    .filter((key) => key.startsWith('lakepulse:'))
    .sort()
    .map((key) => {
      const json = local.keys[key]!;
      return { id: key.slice(10), parked: json.startsWith('{'), event: JSON.parse(json) as UsageEvent };
    });

export const hide = (hidden = true): void => {
  Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
  document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
};

export const leavePage = (): void => void window.dispatchEvent(new Event('pagehide'));

export const console_ = { error: vi.fn() };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: START });
  Object.assign(server, {
    answers: [], otherwise: {}, count: 0, batches: [], beacons: [], questions: [], page: [], beaconAccepted: true,
  });
  fakeFetch.mockClear();
  local = fakeStorage();
  tab = fakeStorage();
  vi.stubGlobal('origin', location.origin); // happy-dom has none
  vi.stubGlobal('localStorage', local.keys);
  vi.stubGlobal('sessionStorage', tab.keys);
  document.body.innerHTML = '';
  history.replaceState(null, '', '/start');
  console_.error = vi.fn();
  vi.spyOn(console, 'error').mockImplementation(console_.error);
  Object.defineProperty(document, 'hidden', { configurable: true, value: false });
  navigator.sendBeacon = ((url: string, body: string) => {
    if (server.beaconAccepted) server.beacons.push(parse(url, body));
    return server.beaconAccepted;
  }) as typeof navigator.sendBeacon;
});

afterEach(() => {
  unload();
  vi.useRealTimers();
});

/** The console had nothing to say. */
export const expectSilence = (): void => expect(console_.error.mock.calls).toEqual([]);
