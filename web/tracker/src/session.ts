// The session: one tab, over its reloads. While a page is alive its state is *not* in sessionStorage: a duplicated tab
// gets a copy of that, and two tabs counting with one session id would make every gap and double meaningless.

import { now, offset, setOffset, uuid } from './clock.js';
import { NAME, tab } from './store.js';

interface Session {
  i: string;
  /** The last sequence number given. */
  n: number;
  /** When it began. */
  t: number;
  /** Events dropped here, and how many of them no batch has reported yet. */
  d: number;
  u: number;
  /** Events refused by the server. */
  r: number;
  /** The clock's offset. */
  o: number;
}

let session: Session | undefined;
let left = false;

/** Continues what the tab's last page left; a fresh session begins with the first event. */
export const resume = (): void => {
  try {
    session = JSON.parse(tab[NAME] || 'null') || session;
  } catch {
    // Not ours, or half written: a new session begins.
  }
  delete tab[NAME];
  left = false;
  if (session) setOffset(session.o);
};

export const current = (): Session => (session ||= { i: uuid(), n: 0, t: now(), d: 0, u: 0, r: 0, o: 0 });

/** Leaves the state for the tab's next page. */
export const handOver = (): void => {
  left = true;
  if (session) {
    session.o = offset;
    try {
      tab[NAME] = JSON.stringify(session);
    } catch {
      // No room: the next page begins a new session, which proves nothing and claims nothing.
    }
  }
};

/** The next number of the session. A page may still make events when it has handed over. */
export const count = (): number => {
  const n = ++current().n;
  if (left) handOver();
  return n;
};

export const forgetSession = (): void => {
  session = undefined;
  delete tab[NAME];
};

export const lose = (events: number): void => {
  current().d += events;
  current().u += events;
};
