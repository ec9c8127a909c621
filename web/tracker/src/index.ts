// @lakepulse/tracker: what people do in the browser, sent to Lakepulse. Start with `init`; the rest is in README.md.
//
// Invariants: nothing in here throws into the page; nothing is collected after an opt-out; an event has its id and its
// place in the session's count from the moment it is made, so what the server lacks can be named (`reconcile`).

import { arrive, record, watch } from './capture.js';
import { configure, enabled, guard } from './config.js';
import { keepFetch } from './delivery.js';
import { queue } from './outbox.js';
import { forgetSession, resume } from './session.js';
import { forget, NAME, openStores, parked, put } from './store.js';
import type { EventDetail, EventType, Options } from './types.js';

export { page } from './capture.js';
export { flush, reconcile } from './queue.js';
export type * from './types.js';

/** Starts collecting; only the first call on a page does, whichever copy of the script makes it. */
export const init = guard((options?: Options): void => {
  const page = globalThis as { window?: { __lakepulse?: boolean } };
  if (!page.window || page.window.__lakepulse) return;
  page.window.__lakepulse = true;
  openStores();
  configure(options || {});
  resume();
  keepFetch();
  watch();
});

/** Makes an event of the given type. */
export const track = guard((eventType: EventType, detail?: EventDetail): void => {
  record(eventType, detail || {});
});

/** Stops collecting in this browser, in every tab, and forgets what was not sent. */
export const optOut = guard((): void => {
  openStores();
  put(NAME, '1');
  queue.clear();
  for (const [id] of parked(queue)) forget(id);
  forgetSession();
});

/** Takes an opt-out back, and the browser's Do Not Track for this site. */
export const optIn = guard((): void => {
  openStores();
  const was = enabled();
  put(NAME, '0');
  if (!was && enabled()) arrive();
});
