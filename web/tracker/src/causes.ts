// Which click a request was caused by, for the paths of our own origin that the page names (option `link`). Without them
// the page's fetch and XMLHttpRequest are left alone: a header of ours turns a redirect to another origin into a
// preflight, which that origin may refuse.
//
// Only what is certain is said: a request belongs to a click when it is started by the click's handlers, by promise
// continuations of theirs, or by what handles the answer to a request that belongs to the click. A window of time would
// also take in whatever else the page does meanwhile, and pair it wrongly.
//
// While handlers run, and the promise continuations right after each of them, the browser's current event is theirs.
// Handlers inside shadow trees do not see it; and clicks made by a script have their continuations run when the script
// is done, where whose they are cannot be told.

import { attempt, options } from './config.js';
import { request } from './delivery.js';
import { session } from './session.js';

/** Events bear the interaction they belong to; so do requests, for the events of their answer. */
export interface Caused {
  _lp?: string | undefined;
  _lpx?: string | undefined;
}

/** Set while promise continuations of a marked fetch run. */
let continued: string | undefined;

/** How many turns promise continuations get: one for each `await` and `then` between fetch and the code that uses it. */
const TURNS = 30;

/** The browser's own getter. A page may have a global of the name `event`, which says nothing of the current event. */
const current = Object.getOwnPropertyDescriptor(window, 'event')?.get;

/** The click or submit that what runs now belongs to. */
export const cause = (): string | undefined => {
  const event = current?.call(window) as (Event & Caused) | undefined;
  return continued || event?._lp || (event?.target as Caused | null | undefined)?._lpx;
};

const goOn = async (id: string): Promise<void> => {
  continued = id;
  for (let turn = TURNS; turn--; ) await 0;
  continued = undefined;
};

/**
 * Names the interaction of its cause, by `headers[set](name, value)`, to a request whose path the page has named.
 * Whatever fails in here leaves the request as it was.
 */
const mark = <S extends string>(
  target: unknown,
  headersOf: () => Record<S, (name: string, value: string) => void>,
  set: S,
): string | undefined =>
  attempt(() => {
    const id = cause();
    if (!id || !new URL((target as Request).url || (target as string), document.baseURI).href.startsWith(location.origin + options.link)) return;
    const headers = headersOf();
    headers[set]('X-Lakepulse-Interaction-Id', id);
    headers[set]('X-Lakepulse-Session-Id', session.i);
    return id;
  });

export const watchRequests = (): void => {
  attempt(() => {
    window.fetch = function (this: unknown, ...args) {
      // A copy takes over all that the browser takes from the arguments, whatever their shape.
      let copy: Request;
      const id = mark(args[0], () => (copy = new Request(...args)).headers, 'set');
      if (!id) return request.apply(this as Window, args);
      const answer = request(copy!);
      answer.then(() => goOn(id), () => {});
      return answer;
    };
  });
  attempt(() => {
    const { prototype } = XMLHttpRequest;
    const open = prototype.open as (...args: unknown[]) => void;
    prototype.open = function (this: XMLHttpRequest & Caused, ...args: unknown[]) {
      open.apply(this, args);
      this._lpx = mark(args[1], () => this, 'setRequestHeader');
    };
  });
};
