// Which click a request was caused by. Only what is certain is said: a request belongs to a click when it is started by
// the click's handlers, by promise continuations of theirs, or by the handlers of a request that itself belongs to the
// click. A window of time would also take in whatever else the page does in that second, and pair it wrongly.

import { enabled } from './config.js';
import { request } from './delivery.js';
import { session } from './session.js';

/** The click or submit whose handlers are running. */
export let interaction: string | undefined;

/**
 * From here to the next task everything is caused by `id`. A click made by a script causes only what its handlers start
 * at once: of several made in one go the continuations run together at the end, and whose they are cannot be told.
 */
export const enter = (id: string | undefined, scripted?: boolean): void => {
  interaction = id;
  (scripted ? queueMicrotask : setTimeout)(() => {
    interaction = undefined;
  });
};

/** Names the cause, if it has one, to a request of our own origin. */
const mark = (url: string, set: (name: string, value: string) => void): string | undefined => {
  if (!interaction || !enabled() || new URL(url, document.baseURI).origin !== origin) return;
  set('X-Lakepulse-Interaction-Id', interaction);
  set('X-Lakepulse-Session-Id', session.i);
  return interaction;
};

export const watchRequests = (): void => {
  window.fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const headers = new Headers(init?.headers || (input as Request).headers);
    const id = mark((input as Request).url || (input as string), (name, value) => headers.set(name, value));
    const response = await request(input, id ? { ...init, headers } : init);
    if (id) enter(id);
    return response;
  };

  const { prototype } = XMLHttpRequest;
  const open = prototype.open as (...args: unknown[]) => void;
  prototype.open = function (this: XMLHttpRequest, ...args: unknown[]) {
    open.apply(this, args);
    const id = mark(args[1] as string, (name, value) => this.setRequestHeader(name, value));
    if (id) this.addEventListener('load', () => enter(id));
  };
};
