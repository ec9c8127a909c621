import { NAME, local } from './store.js';
import type { Options } from './types.js';

export let options: Required<Pick<Options, 'endpoint' | 'batchSize' | 'flushInterval' | 'retryDelays' | 'timeout' | 'maxParked' | 'debounce'>> & Options;

export const configure = (given: Options): void => {
  options = { endpoint: '', batchSize: 20, flushInterval: 1e4, retryDelays: [1e3, 2e3], timeout: 15e3, maxParked: 1e3, debounce: 500, ...given };
};

/** Whether anything may be collected now. The user's own word counts before the browser's signals, in every tab at once. */
export const enabled = (): boolean =>
  !!options &&
  (local[NAME]
    ? local[NAME] === '0'
    : !(
        options.optedOut ||
        (options.respectDoNotTrack !== false &&
          (navigator.doNotTrack === '1' || (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl))
      ));

/** The tracker never throws into the page: whatever goes wrong in here ends in the console. */
export const guard = <A extends unknown[]>(work: (...args: A) => void) => (...args: A): void => {
  try {
    work(...args);
  } catch (error) {
    complain(error);
  }
};

export const complain = (...what: unknown[]): void => console.error('lakepulse:', ...what);
