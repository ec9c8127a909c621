// One batch on its way, and what its answer means.

import { complain, enabled, options } from './config.js';
import { correct, iso, session, timeOf } from './session.js';
import { park, queue, settle, type Entry } from './store.js';

interface Answer {
  server_time?: string;
  rejected?: { index: number; field: string; reason: string }[];
}

/** sendBeacon refuses more than 64 KB; the rest is for the envelope. */
const MAX_BODY = 6e4;

/** Milliseconds after which an attempt without an answer has failed: nothing else is sent meanwhile. */
const TIMEOUT = 15e3;

/** The page's own fetch, from before requests were marked with the click that caused them. */
export let request: typeof fetch;

export const keepFetch = (): void => {
  request = fetch;
};

/** Calls the API: `-events` or `/count`. */
export const call = (path: string, init?: RequestInit): Promise<Response> => request.call(window, urlOf(path), init);

const urlOf = (path: string): string => options.endpoint + '/api/v1/metrics/usage' + path;

/**
 * Splits by what one body can hold (a Blob of entries is their ids and their JSON, more than the body). An event that is
 * too large by itself goes alone, for the server to say so.
 */
export const chunks = (entries: Entry[]): Entry[][] => {
  const half = entries.length >> 1;
  return half && new Blob(entries as unknown as string[]).size > MAX_BODY
    ? [...chunks(entries.slice(0, half)), ...chunks(entries.slice(half))]
    : entries[0]
      ? [entries]
      : [];
};

/** The batch, and how many events were dropped since the last report. */
const bodyOf = (chunk: Entry[]): string =>
  `{"events":[${chunk.map((entry) => entry[1])}],"dropped":${session.d - session.p}}`;

/** Sends a batch, with its retries; throws when it is not answered for, and it is parked then. */
export const deliver = async (chunk: Entry[], attempt = 1): Promise<void> => {
  if (!enabled()) return;
  const reported = session.d;
  let response: Response;
  try {
    response = await call('-events', { method: 'POST', body: bodyOf(chunk), signal: AbortSignal.timeout(TIMEOUT) });
    // Nothing but 202 means stored (a sign-in page answers 200 as well), and 4xx is final.
    if (!/202|4(?!08|29)../.test(response.status as unknown as string)) throw response.status;
  } catch (error) {
    if (attempt > 2) {
      park(chunk);
      throw ['not sent', error];
    }
    await pause(options.retry * attempt);
    return deliver(chunk, attempt + 1);
  }
  // A proxy's answer is no JSON, and final all the same.
  const { rejected, server_time } = (await response.json().catch(() => ({}))) as Answer;
  const refused = response.status > 399;
  if (!refused) session.p = reported;
  if (refused || rejected) complain([response.status, rejected]);
  correct(server_time);

  const again = chunk.filter((entry, i) => {
    const why = rejected?.find(({ index }) => index === i);
    const time = timeOf(entry[0]);
    // An event that was refused, and made before the clock was known to be wrong, gets its time put right, once. When
    // there was no correction, or it did not help, the time was not the reason.
    if (why && entry[1] !== (entry[1] = entry[1].replace(iso(time), iso(time + session.o)))) return true;
    settle(entry);
    if (why || refused) session.d++;
    // What was refused as a whole was refused by who never saw the events in it: the server hears of them next time.
    if (why) session.p++;
    return false;
  });
  if (again[0]) return deliver(again);
};

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The page may be gone in a moment: everything goes by beacon, and stays parked until a later page has the answer. */
export const leave = (): void => {
  if (!enabled()) return;
  for (const chunk of chunks([...queue])) {
    const sent = navigator.sendBeacon(urlOf('-events'), bodyOf(chunk));
    if (sent) session.p = session.d;
    park(chunk, sent);
  }
};
