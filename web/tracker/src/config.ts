import { local, NAME } from './store.js';
import type { Options } from './types.js';

type Defaulted = 'endpoint' | 'batch' | 'interval' | 'retry' | 'capacity' | 'debounce';

export const options: Required<Pick<Options, Defaulted>> & Options = {
  endpoint: '',
  batch: 20,
  interval: 1e4,
  retry: 1e3,
  capacity: 1e3,
  debounce: 500,
};

/** What the user chose on this page: it holds also where the choice could not be stored. */
let chosen: string | undefined;

export const choose = (choice: '0' | '1'): void => {
  attempt(() => (local[NAME] = chosen = choice)); // chosen first: storing may fail
};

/**
 * Whether anything may be collected now (0 and NaN are no): the user's own word counts first, in every tab at once, then
 * the page's, then the browser's.
 */
export const enabled = (): number =>
  +(
    chosen ??
    local[NAME] ??
    options.consent ??
    !(+navigator.doNotTrack! || (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl)
  );

export const complain = (what: unknown): void => console.error('lakepulse', what);

/** The result of the work, or nothing: what fails in here costs that one step. */
export const attempt = <R>(work: () => R): R | undefined => {
  try {
    return work();
  } catch {
    return undefined;
  }
};

/** The tracker never throws into the page: whatever goes wrong in here ends in the console. */
export const guard =
  <A extends unknown[]>(work: (...args: A) => void) =>
  (...args: A): void => {
    try {
      work(...args);
    } catch (error) {
      complain(error);
    }
  };

/** Listens in the capture phase, before anything on the page can stop the event, and never throws into its dispatch. */
export const on = <E extends Event>(type: string, work: (event: E) => void): void =>
  addEventListener(type, guard(work) as EventListener, true);
