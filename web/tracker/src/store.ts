// What survives this page, in localStorage. One key per event, written once and only ever removed: no tab rewrites what
// another wrote, so two tabs cannot lose each other's events whatever order their writes are seen in.
//
//   lakepulse.<id>   of a page that is going to send it   (found by others only if that page died)
//   lakepulse:<id>   parked: whoever holds the Web Lock sends it
//   lakepulse        the user's choice: 1 opted out, 0 opted in

import { now, timeOf } from './clock.js';

/** An event's id and its JSON. */
export type Entry = [id: string, json: string];

type Keys = Record<string, string>;

export const OWN = 'lakepulse.';
export const PARKED = 'lakepulse:';
export const NAME = 'lakepulse';

/** After this many milliseconds an event still under its page's own key belongs to a page that crashed. */
const ABANDONED = 120_000;

export let local: Keys = {};
export let tab: Keys = {};

/** Storage can be forbidden: then its getter throws, and a plain object does for as long as the page lives. */
const open = (name: 'localStorage' | 'sessionStorage'): Keys => {
  try {
    return (window[name] as unknown as Keys | null) || {};
  } catch {
    return {};
  }
};

export const openStores = (): void => {
  local = open('localStorage');
  tab = open('sessionStorage');
};

/** Whether it was kept; a full store throws. */
export const put = (key: string, json: string): boolean => {
  try {
    local[key] = json;
    return true;
  } catch {
    return false;
  }
};

export const forget = (id: string): void => {
  delete local[OWN + id];
  delete local[PARKED + id];
};

/** The parked events, oldest first, and those that pages which died left behind. */
export const parked = (mine: Map<string, string>): Entry[] =>
  Object.keys(local)
    .filter((key) => key.startsWith(PARKED) || (key.startsWith(OWN) && !mine.has(key.slice(10)) && now() - timeOf(key.slice(10)) > ABANDONED))
    .map((key): Entry => [key.slice(10), local[key]!])
    .sort();

/** Runs `work` in one tab at a time; not at all while another tab is at it. */
export const exclusively = async (work: () => Promise<void>): Promise<void> => {
  await (navigator.locks ? navigator.locks.request(NAME, { ifAvailable: true }, (lock) => lock && work()) : work());
};
