// One batch on its way, and what its answer means.

import { correct, offset, timeOf } from './clock.js';
import { complain, enabled, options } from './config.js';
import { chunks, envelope, park, queue, settle } from './outbox.js';
import { current, lose } from './session.js';
import { local, OWN, PARKED, put, type Entry } from './store.js';

export const PATH = '/api/v1/metrics/usage';

interface Answer {
  server_time?: string;
  rejected?: { index: number; field: string; reason: string }[];
}

/** The page's own fetch, from before requests were marked with the click that caused them. */
export let send: typeof fetch;

/** Batches that nobody asked for wait until then: the server said when it expects to be back. */
export let notBefore = 0;

export const keepFetch = (): void => {
  send = window.fetch.bind(window);
};

/**
 * Puts right, once, the time of an event that was refused for it: it was made before the clock was known to be wrong.
 * Without a correction, or when that did not help, the event really is too old.
 */
const restamp = ([id, json]: Entry): Entry[] => {
  const event = JSON.parse(json) as { timestamp: string };
  const time = timeOf(id);
  if (!offset || Date.parse(event.timestamp) !== time) return [];
  event.timestamp = new Date(time + offset).toISOString();
  const entry: Entry = [id, JSON.stringify(event)];
  if (queue.has(id)) queue.set(...entry);
  put((local[PARKED + id] ? PARKED : OWN) + id, entry[1]);
  return [entry];
};

/** Takes each event of an answered batch off our hands, except those to send again, which it returns. */
const account = (chunk: Entry[], accepted: boolean, answer: Answer): Entry[] => {
  const rejected = new Map(answer.rejected?.map((one) => [one.index, one]));
  return chunk.flatMap((entry, i) => {
    const why = rejected.get(i);
    const again = why?.field === 'timestamp' ? restamp(entry) : [];
    if (!again.length) {
      settle(entry[0]);
      if (why) current().r++;
      // Refused as a whole, by who never saw the events in it: the next report tells the server of them.
      else if (!accepted) lose(1);
    }
    return again;
  });
};

/** Sends a batch, with its retries. Whether it was answered for; if not it is parked. */
export const deliver = async (chunk: Entry[]): Promise<boolean> => {
  for (let attempt = 0; enabled(); attempt++) {
    const sent = Date.now();
    const [body, reported] = envelope(chunk);
    let trouble: unknown;
    try {
      const response = await send(options.endpoint + PATH + '-events', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body,
        signal: AbortSignal.timeout?.(options.timeout) ?? null,
      });
      const status = (trouble = response.status);
      // Nothing but 202 means stored: a sign-in page answers 200 as well.
      const accepted = status === 202;
      if (accepted || (status >= 400 && status < 500 && status !== 408 && status !== 429)) {
        const answer = (await response.json().catch(() => ({}))) as Answer; // a proxy's answer is no JSON, and final all the same
        if (!accepted) current().u += reported;
        correct(answer.server_time, sent);
        if (!accepted || answer.rejected) complain('refused', status, answer);
        const rest = account(chunk, accepted, answer);
        return !rest.length || deliver(rest);
      }
      notBefore = sent + Math.min(+response.headers.get('Retry-After')! || 0, 60) * 1e3;
    } catch (error) {
      trouble = error;
    }
    current().u += reported;
    const delay = options.retryDelays[attempt];
    if (delay === undefined) {
      complain('not sent, kept for later', chunk.length, trouble);
      park(chunk);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
  return false;
};

/** The page may be gone in a moment: everything goes by beacon, and stays parked until a later page has the answer. */
export const leave = (): void => {
  for (const chunk of chunks([...queue])) {
    const url = options.endpoint + PATH + '-events';
    const [body, reported] = envelope(chunk);
    const sent = !!navigator.sendBeacon?.(url, body);
    if (!sent) {
      current().u += reported;
      send(url, { method: 'POST', body, keepalive: true }).catch(complain);
    }
    park(chunk, sent);
  }
};
