// From an event to the server's answer.
//
//   push ─► queue, and a copy in the store ─► deliver ─► 202: forgotten · 4xx: refused
//             │ page hidden: by beacon           │ three attempts failed
//             └───────────► parked ◄─────────────┘
//                             └─► the next flush or page load, under the Web Lock
//
// A beacon that was taken can still be lost, so its events stay parked until an answer is seen: ids make sending twice
// harmless, and nothing brings a lost event back.

import { now, offset, timeOf, uuid } from './clock.js';
import { complain, enabled, guard, options } from './config.js';
import { deliver, notBefore, PATH, send } from './delivery.js';
import { chunks, queue } from './outbox.js';
import { count, current, lose } from './session.js';
import { exclusively, OWN, parked, put } from './store.js';
import type { EventDetail, EventType, Reconciliation, UsageEvent } from './types.js';

let fresh = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let running: Promise<void> | undefined;
let next: Promise<void> | undefined;

/** Cuts by characters: half of a surrogate pair is no valid text. */
export const cut = (text: string | undefined, length: number): string | undefined =>
  text ? [...text].slice(0, length).join('') : undefined;

/** Makes an event and queues it. */
export const push = (type: EventType, detail: EventDetail, interaction?: string): void => {
  if (!enabled()) return;
  const id = uuid();
  const fixed = { id, timestamp: new Date(timeOf(id)).toISOString(), session_id: current().i };
  const event = {
    ...fixed,
    event_type: type,
    page_name: cut(detail.page_name, 255),
    element_id: cut(detail.element_id, 255),
    success: detail.success,
    metadata: detail.metadata,
    interaction_id: interaction,
    app: options.app,
    app_version: options.appVersion,
  } as UsageEvent;
  let seq;
  try {
    const kept = options.before?.(event);
    if (kept === null || kept === false) return;
    seq = count();
    const json = JSON.stringify({ ...(kept || event), ...fixed, seq });
    if (queue.size >= options.maxParked) return lose(1);
    queue.set(id, json);
    // A full store costs what a crash would take, no more: the event is still queued.
    put(OWN + id, json);
  } catch (error) {
    seq ??= count();
    lose(1);
    complain('dropped', error);
  }
  if (++fresh >= options.batchSize && Date.now() >= notBefore) guard(flush)();
  else arm();
};

export const arm = (): void => {
  timer ??= setTimeout(flush, Math.max(options.flushInterval, notBefore - Date.now()));
};

const sendAll = async (): Promise<void> => {
  clearTimeout(timer);
  timer = undefined;
  fresh = 0;
  if (!enabled()) return;
  for (const chunk of chunks([...queue])) if (!(await deliver(chunk))) return;
  await exclusively(async () => {
    for (const chunk of chunks(parked(queue))) if (!(await deliver(chunk))) return;
  });
};

/** Sends what waits. One at a time, and one more behind it for what came meanwhile. */
export const flush = (): Promise<void> =>
  (next ??= (running || Promise.resolve()).then(() => {
    next = undefined;
    return (running = sendAll()
      .catch(complain)
      .then(() => {
        running = undefined;
        if (enabled() && (queue.size || parked(queue).length)) arm();
      }));
  }));

/** Compares what this session made with what the server has stored; rejects when the server cannot be asked. */
export const reconcile = async (): Promise<Reconciliation> => {
  await flush();
  const { i, n, t, d, r } = current();
  const pending = parked(queue).filter(([, json]) => json.includes(i)).length + queue.size;
  const due = n - d - r - pending;
  // Events whose time was put right lie before the session's start; the server counts within its raw window only.
  const start = new Date(Math.max(t + Math.min(0, offset) - 1e3, now() - 6e8)).toISOString();
  let stored = 0;
  for (let attempt = 0; ; attempt++) {
    const query = new URLSearchParams({ start, end: new Date(now()).toISOString(), session_id: i });
    const response = await send(`${options.endpoint + PATH}/count?${query}`);
    if (!response.ok) throw Error('lakepulse: count answered ' + response.status);
    stored = ((await response.json()) as { count: number }).count;
    // What was accepted a moment ago is still on its way into the database.
    if (stored >= due || attempt > 2) break;
    await new Promise((resolve) => setTimeout(resolve, 1e3));
  }
  return { created: n, stored, pending, dropped: d, refused: r, missing: Math.max(0, due - stored) };
};
