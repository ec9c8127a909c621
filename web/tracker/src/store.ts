// The events this page has made and nobody has answered for, and what survives the page, in localStorage. One key per
// event, which only the page that made it writes and whoever has the answer removes: no tab rewrites what another wrote,
// so two tabs cannot lose each other's events whatever order their writes are seen in.
//
//   lakepulse:<id>   the event; parked: whoever holds the Web Lock sends it
//                    with a space before it: of a page that is going to send it, unless that page died
//   lakepulse        the user's choice: 0 opted out, 1 opted in

import { enabled, options } from './config.js';
import { now, session, timeOf } from './session.js';

/** An event's id and its JSON. */
export type Entry = [id: string, json: string];

type Keys = Record<string, string>;

export const NAME = 'lakepulse';
export const EVENT = 'lakepulse:';

/** After this many milliseconds an event not parked belongs to a page that crashed. */
const ABANDONED = 12e4;

/** In order of creation; what is being sent stays in it until the answer. */
export const queue = new Map<string, string>();

/** Storage can be forbidden: then its getter throws, and a plain object does for as long as the page lives. */
const open = (name: 'localStorage' | 'sessionStorage'): Keys => {
  try {
    return (window[name] as unknown as Keys | null) || {};
  } catch {
    return {};
  }
};

export const local = open('localStorage');
export const tab = open('sessionStorage');

/** Keeps the value; whether there was no room for it. */
export const full = (keys: Keys, key: string, value: string): boolean | void => {
  try {
    keys[key] = value;
  } catch {
    return true;
  }
};

export const settle = ([id]: Entry): void => {
  queue.delete(id);
  delete local[EVENT + id];
};

/** The parked events, in no order, and those that pages which died left behind. */
export const parked = (): Entry[] =>
  Object.keys(local)
    .filter((key) => key.startsWith(EVENT) && (local[key]! > '!' || now() - timeOf(key.slice(10)) > ABANDONED))
    .map((key) => [key.slice(10), local[key]!]);

/**
 * Gives the events to whichever page sends next. `sent` says a beacon took them: then having no room for them is no
 * loss that could be claimed.
 */
export const park = (entries: Entry[], sent?: boolean): void => {
  entries.forEach(settle);
  if (!enabled()) return;
  let room = options.capacity - parked().length;
  for (const [id, json] of entries) if ((room-- < 1 || full(local, EVENT + id, json)) && !sent) session.d++;
};

/** Runs `work` in one tab at a time, with the lock; not at all, with null, while another tab is at it. */
export const exclusively = (work: (lock: unknown) => unknown): unknown =>
  (navigator.locks as LockManager | undefined)?.request(NAME, { ifAvailable: true }, work) ?? work(true);
