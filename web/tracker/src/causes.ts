// Which click a request was caused by. Only what is certain is said: a request belongs to a click when it is started by
// the click's handlers, by promise continuations of theirs, or by the handlers of a request that itself belongs to the
// click. A window of time would also take in whatever else the page does in that second, and pair it wrongly.

import { complain, enabled } from './config.js';
import { current } from './session.js';

let interaction: string | undefined;
let entering: string | undefined;
let mixed = false;

/** The click or submit whose handlers are running. */
export const cause = (): string | undefined => interaction;

/** From here to the next task everything is caused by `id`. */
export const enter = (id: string | undefined): void => {
  // Clicks made by a script in one go have their continuations run one after the other when it is done: whose they are
  // cannot be told, so they are nobody's.
  mixed = entering !== undefined && entering !== id;
  entering = interaction = id;
  queueMicrotask(() => {
    if (mixed) interaction = undefined;
    mixed = false;
    entering = undefined;
  });
  setTimeout(() => {
    if (interaction === id) interaction = undefined;
  });
};

/** Hands the headers to a same-origin request that has a cause, and names that. */
const mark = (url: unknown, set: (name: string, value: string) => void): string | undefined => {
  const id = interaction;
  if (!id || !enabled()) return;
  try {
    if (new URL(url as string, document.baseURI).origin !== location.origin) return;
    set('X-Lakepulse-Interaction-Id', id);
    set('X-Lakepulse-Session-Id', current().i);
    return id;
  } catch (error) {
    complain(error);
  }
  return;
};

export const watchRequests = (): void => {
  const request = window.fetch;
  window.fetch = function (this: unknown, input: RequestInfo | URL, init?: RequestInit) {
    let headers: Headers | undefined;
    const id = mark((input as Request).url || input, (name, value) => {
      headers ||= new Headers(init?.headers || (input as Request).headers);
      headers.set(name, value);
    });
    const answer = request.call(window, input, id ? { ...init, headers: headers! } : init);
    return id ? answer.then((response) => (enter(id), response)) : answer;
  };

  const proto = XMLHttpRequest.prototype;
  const open = proto.open as (...args: unknown[]) => void;
  proto.open = function (this: XMLHttpRequest, ...args: unknown[]) {
    open.apply(this, args);
    const id = mark(args[1], (name, value) => this.setRequestHeader(name, value));
    if (id) this.addEventListener('load', () => enter(id));
  };
};
