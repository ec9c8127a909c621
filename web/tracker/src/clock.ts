// Time and ids. A timestamp never changes once its event is accepted (the server's once-only rule rests on it), so the
// clock is corrected for events to come; only events the server refused for their time are stamped anew.

/** Milliseconds the server's clock is ahead of ours. */
export let offset = 0;

let last = 0;
let count = 0;

export const now = (): number => Date.now() + offset;

export const setOffset = (ms: number): void => {
  offset = ms;
  // Without this a clock that was ahead would hold all new ids at its last, wrong, millisecond.
  last = 0;
};

/**
 * Corrects our clock by the server's, which was read between `sent` and now. Within the uncertainty of the round trip
 * and one second nothing changes.
 */
export const correct = (serverTime: string | undefined, sent: number): void => {
  const half = (Date.now() - sent) / 2;
  const error = Date.parse(serverTime || '') - now() + half;
  if (Math.abs(error) > half + 1000) setOffset(Math.round(offset + error));
};

/** A UUIDv7, greater than every earlier one of this page. */
export const uuid = (): string => {
  const ms = now();
  // A clock set back by more than a second is followed: standing still would give a whole hour one timestamp.
  if (ms > last || ms < last - 1000) {
    last = ms;
    count = 0;
  } else if (++count > 4095) {
    last++;
    count = 0;
  }
  const time = last.toString(16).padStart(12, '0');
  const random = crypto.getRandomValues(new Uint8Array(19));
  return (
    time.slice(0, 8) + '-' + time.slice(8) + '-' + (0x7000 + count).toString(16) +
    '-8xxx-xxxxxxxxxxxx'.replace(/[8x]/g, (c, i: number) => (c > '8' ? random[i]! & 15 : (random[i]! & 3) | 8).toString(16))
  );
};

/** The time within a UUIDv7, in milliseconds. */
export const timeOf = (id: string): number => parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
