// The session: one tab, over its reloads; and its clock and ids. While a page is alive the session is *not* in
// sessionStorage: a duplicated tab gets a copy of that, and two tabs counting with one session id would make every gap
// and every double meaningless.

import { full, NAME, tab } from './store.js';

interface Session {
  /** Its id. */
  i: string;
  /** The last sequence number given. */
  n: number;
  /** Events given up, and how many of them the server knows of. */
  d: number;
  p: number;
  /** Milliseconds the server's clock is ahead of ours. */
  o: number;
}

export let session: Session;

/** The first half of the last id: its time, the version, and a count of the ids of that millisecond. */
let tick = 0n;

export const now = (): number => Date.now() + session.o;

export const iso = (ms: number): string => new Date(ms).toISOString();

/** A UUIDv7, greater than every earlier one of this page. */
export const uuid = (): string => {
  const time = (BigInt(now()) << 16n) | 0x7000n;
  // A clock set back by more than a second is followed: standing still would give a whole hour one timestamp.
  tick = time > tick || time < tick - (1000n << 16n) ? time : tick + 1n;
  const random = crypto.getRandomValues(new BigUint64Array(1))[0]!;
  // 31 digits until the year 2527.
  return ((tick << 64n) | (8n << 60n) | (random >> 2n))
    .toString(16)
    .replace(/(.{7})(.{4})(.{4})(.{4})/, '0$1-$2-$3-$4-');
};

/** The time within a UUIDv7, in milliseconds. */
export const timeOf = (id: string): number => parseInt(id.replace('-', ''), 16);

/**
 * Corrects our clock by the server's, unless they differ by no more than an answer's way may take. A timestamp never
 * changes once its event is accepted (the server's once-only rule rests on it): the correction is for events to come, and
 * for those the server refused for their time.
 */
export const correct = (serverTime: string | undefined): void => {
  const error = Date.parse(serverTime!) - now();
  if (Math.abs(error) > 5e3) session.o += error;
};

/** Continues what the tab's last page left, or begins anew. */
export const begin = (): void => {
  session = (JSON.parse(tab[NAME] || (0 as unknown as string)) || { n: 0, d: 0, p: 0, o: 0 }) as Session;
  session.i ||= uuid();
  delete tab[NAME];
};

/** Leaves the session to the tab's next page. Without room for it that page begins a new one, which claims nothing. */
export const handOver = (): void => {
  if (session.n) full(tab, NAME, JSON.stringify(session));
};
