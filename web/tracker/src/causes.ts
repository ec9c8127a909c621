// Which click a request was caused by. Only what is certain is said: a request belongs to a click when it is started by
// the click's handlers, by promise continuations of theirs, or by what handles the answer to a request that belongs to
// the click. A window of time would also take in whatever else the page does meanwhile, and pair it wrongly.
//
// While handlers run, and the promise continuations right after each of them, `window.event` is their event. Only
// handlers inside shadow trees do not see it; and clicks made by a script have their continuations run when the script is
// done, where whose they are cannot be told and `window.event` does not say.

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

/** The click or submit that what runs now belongs to. */
export const cause = (): string | undefined => {
  const event = window.event as (Event & Caused) | undefined;
  return continued || (event && (event._lp || (event.target as Caused)._lpx));
};

const goOn = async (id: string): Promise<void> => {
  continued = id;
  for (let turn = TURNS; turn--; ) await 0;
  continued = undefined;
};

/** Names the cause, if it has one, to a request of our own origin, by `headers[set](name, value)`. */
const mark = <S extends string>(
  url: string,
  headers: Record<S, (name: string, value: string) => void>,
  set: S,
): string | undefined => {
  const id = cause();
  if (!id || new URL(url, document.baseURI).origin !== origin) return;
  headers[set]('X-Lakepulse-Interaction-Id', id);
  headers[set]('X-Lakepulse-Session-Id', session.i);
  return id;
};

export const watchRequests = (): void => {
  window.fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const headers = new Headers(init?.headers || (input as Request).headers);
    const id = mark((input as Request).url || (input as string), headers, 'set');
    const response = await request(input, id ? { ...init, headers } : init);
    if (id) goOn(id);
    return response;
  };

  const { prototype } = XMLHttpRequest;
  const open = prototype.open as (...args: unknown[]) => void;
  prototype.open = function (this: XMLHttpRequest & Caused, ...args: unknown[]) {
    open.apply(this, args);
    this._lpx = mark(args[1] as string, this, 'setRequestHeader');
  };
};
