// @lakepulse/tracker: what people do in the browser, sent to Lakepulse. Start with `init`; the rest is in README.md.
//
// Invariants: nothing in here throws into the page; nothing is collected after an opt-out; an event has its id and its
// place in the session's count from the moment it is made, so what the server lacks can be named (`reconcile`).

import { arrive, record, watch } from './capture.js';
import { attempt, choose, enabled, guard, options } from './config.js';
import { keepFetch } from './delivery.js';
import { begin } from './session.js';
import { local, NAME, queue } from './store.js';
import type { EventDetail, EventType, Options } from './types.js';

export { page } from './capture.js';
export { flush, reconcile } from './queue.js';
export type * from './types.js';

/** Starts collecting; only the first call on a page does, whichever copy of the script makes it. */
export const init = guard((given?: Options): void => {
  const page = window as { __lakepulse?: boolean };
  if (page.__lakepulse) return;
  page.__lakepulse = true;
  Object.assign(options, given);
  keepFetch();
  begin();
  watch();
});

/** Makes an event of the given type. */
export const track = guard(record) as (eventType: EventType, detail?: EventDetail) => void;

/** Stops collecting in this browser, in every tab, and forgets what was not sent. */
export const optOut = guard((): void => {
  queue.clear();
  attempt(() => {
    for (const key in local) if (key.startsWith(NAME)) delete local[key];
  });
  choose('0');
  begin();
});

/** Takes an opt-out back, and the browser's Do Not Track for this site. */
export const optIn = guard((): void => {
  const was = enabled();
  choose('1');
  if (!was) arrive();
});
