// From an event to the server's answer.
//
//   push ─► queue, and a copy in the store ─► deliver ─► 202: forgotten · 4xx: refused
//             │ page hidden: by beacon           │ three attempts failed
//             └───────────► parked ◄─────────────┘
//                             └─► the next flush or page load, under the Web Lock
//
// A beacon that was taken can still be lost, so its events stay parked until an answer is seen: ids make sending twice
// harmless, and nothing brings a lost event back.

import { pageName } from './capture.js';
import { attempt, complain, options } from './config.js';
import { call, chunks, deliver, pause } from './delivery.js';
import { handOver, iso, now, session, timeOf, uuid } from './session.js';
import { exclusively, full, local, NAME, EVENT, parked, queue, tab, type Entry } from './store.js';
import type { EventDetail, EventType, Reconciliation, UsageEvent } from './types.js';

let timer: ReturnType<typeof setTimeout> | undefined;
let running = Promise.resolve();
let next: Promise<void> | undefined;

/** Cuts by characters: half of a surrogate pair is no valid text. */
export const cut = (text: string | undefined, length = 255): string | undefined =>
  text && [...`${text}`].slice(0, length).join('');

/** What JSON has no word for is written as text: one odd value must not cost its event. */
const plain = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}` : ((value as string | null)?.replace?.(/\p{Cs}/gu, '\ufffd') ?? value);


/** Makes an event and queues it. */
export const push = (type: EventType, detail: EventDetail, interaction?: string): void => {
  const id = uuid();
  const fixed = { id, timestamp: iso(timeOf(id)), session_id: session.i, seq: session.n + 1 };
  let json;
  try {
    const event = {
      ...fixed,
      ...detail,
      event_type: type,
      page_name: cut(detail.page_name || pageName),
      element_id: cut(detail.element_id),
      interaction_id: interaction,
      app: options.app,
      app_version: options.appVersion,
    } as UsageEvent;
    const kept = options.before ? options.before(event) : event;
    if (!kept) return;
    // A circle in the metadata, say, costs the metadata.
    const write = (more: object) => JSON.stringify({ ...kept, ...fixed, ...more }, plain);
    json = attempt(() => write({})) || write({ metadata: undefined });
  } catch (error) {
    complain(error);
  }
  session.n++;
  if (json && queue.size < options.capacity) {
    queue.set(id, json);
    // A full store costs what a crash would take, no more: the event is still queued.
    full(local, EVENT + id, ' ' + json);
  } else session.d++;
  // A page can still make events when it has handed over.
  if (tab[NAME]) handOver();
  if (queue.size >= options.batch && !rest) flush();
  else arm();
};

/** Milliseconds of rest while nobody answers: 0, or ever longer up to five minutes. */
let rest = 0;

/** The next sending, never at the same time in two tabs while nobody answers. */
const arm = (): void => {
  timer ||= setTimeout(flush, rest ? rest * (0.5 + Math.random() / 2) : options.interval);
};

const sendInTurn = async (entries: Entry[]): Promise<void> => {
  for (const chunk of chunks(entries)) await deliver(chunk);
};

const run = async (): Promise<void> => {
  clearTimeout(timer);
  timer = next = undefined;
  await sendInTurn([...queue]);
  await exclusively((lock) => lock && sendInTurn(parked()));
  rest = 0;
};

/** Sends what waits. One at a time, and one more behind it for what came meanwhile. */
export const flush = (): Promise<void> =>
  (next ||= running =
    running.then(run).catch((error) => {
      if (!rest) complain(error); // once, when the server is lost
      rest = Math.min(2 * (rest || options.interval), 3e5);
      arm();
    }));

/** Compares what this session made with what the server has stored; rejects when the server cannot be asked. */
export const reconcile = async (): Promise<Reconciliation> => {
  await flush();
  // What was accepted a moment ago can still be on its way into the database.
  await pause(1e3);
  const { i, o } = session;
  // Events whose time was put right can lie before the session's id.
  const response = await call(`/count?session_id=${i}&start=${iso(timeOf(i) - Math.abs(o) - 1e3)}&end=${iso(now())}`);
  const { count: stored } = (await response.json()) as { count: number };
  if (!response.ok) throw Error(response.status as unknown as string);
  const { n: created, d: dropped } = session;
  const pending = queue.size + parked().filter((entry) => entry[1].includes(i)).length;
  return { created, stored, pending, dropped, missing: created - stored - pending - dropped };
};
