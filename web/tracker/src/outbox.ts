// The events this page has made and nobody has answered for, and the shapes they leave in.

import { options } from './config.js';
import { current, lose } from './session.js';
import { OWN, PARKED, forget, local, put, type Entry } from './store.js';

/** In order of creation; what is being sent stays in it until the answer. */
export const queue = new Map<string, string>();

/** sendBeacon refuses more than 64 KB. */
const MAX_BODY = 60_000;

/** The server's own bound is 1000 events. */
const MAX_EVENTS = 500;

export const settle = (id: string): void => {
  queue.delete(id);
  forget(id);
};

/**
 * Gives the events to whichever page sends next. `sent` says a beacon took them: then having no room for them is no
 * loss that could be claimed.
 */
export const park = (entries: Entry[], sent?: boolean): void => {
  let room = options.maxParked - Object.keys(local).filter((key) => key.startsWith(PARKED)).length;
  for (const [id, json] of entries) {
    queue.delete(id);
    delete local[OWN + id];
    if (!local[PARKED + id] && !(room-- > 0 && put(PARKED + id, json)) && !sent) lose(1);
  }
};

/** Splits by what one body can hold; an event that is too large by itself goes alone, for the server to say so. */
export const chunks = (entries: Entry[]): Entry[][] => {
  const all: Entry[][] = [];
  let size = MAX_BODY;
  let chunk: Entry[] = [];
  for (const entry of entries) {
    const bytes = new Blob([entry[1]]).size + 1;
    size += bytes;
    if (size > MAX_BODY || chunk.length >= MAX_EVENTS) {
      all.push((chunk = []));
      size = bytes + 50;
    }
    chunk.push(entry);
  }
  return all;
};

/** The body, and how many drops it reports: these are off the account unless the sender puts them back. */
export const envelope = (chunk: Entry[]): [body: string, reported: number] => {
  const session = current();
  const dropped = session.u;
  session.u = 0;
  return [`{"events":[${chunk.map(([, json]) => json).join()}]${dropped ? `,"dropped":${dropped}` : ''}}`, dropped];
};
