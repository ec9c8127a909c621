// What is seen of the page: where it is, and what is clicked and submitted. Nothing is ever read of an input's value, and
// nothing at all of a `data-track-ignore` subtree; text is read of buttons and links only, from text nodes: `innerText`
// would force a layout.

import { cause, enter, watchRequests } from './causes.js';
import { uuid } from './clock.js';
import { guard, options } from './config.js';
import { leave } from './delivery.js';
import { queue } from './outbox.js';
import { cut, flush, push } from './queue.js';
import { handOver, resume } from './session.js';
import { parked } from './store.js';
import type { EventDetail, EventType } from './types.js';

const IGNORED = '[data-track-ignore]';
const BUTTON = 'button,a,summary,[role=button]';
const ACTIONABLE = BUTTON + ',[data-track-id],[type=button],[type=submit],[type=reset],[type=image],[type=checkbox],[type=radio]';

/** Elements whose text is what somebody typed or chose, or is not text. */
const UNREAD = IGNORED + ',textarea,select,script,style,[contenteditable]';

/** Interaction ids by type and element, with the time of the last repeat. */
const recent = new Map<string, [time: number, interaction: string | undefined]>();

let pageName = '';

/** Makes an event unless it repeats one; answers with the interaction both belong to. */
export const record = (type: EventType, detail: EventDetail, interaction = cause()): string | undefined => {
  if (detail.element_id) {
    const key = type + detail.element_id;
    const before = recent.get(key);
    const time = performance.now();
    const repeats = before && time - before[0] < options.debounce;
    if (repeats) interaction = before[1];
    else if (recent.size > 99) recent.clear();
    recent.set(key, [time, interaction]);
    if (repeats) return interaction;
  }
  push(type, { page_name: pageName, ...detail }, interaction);
  return interaction;
};

const textOf = (node: Node): string => {
  if (node.nodeType === 3) return (node as Text).data;
  if (node.nodeType !== 1 || (node as Element).matches(UNREAD)) return '';
  let text = '';
  for (const child of node.childNodes) {
    text += textOf(child);
    if (text.length > 400) break;
  }
  return text;
};

export const identify = (element: Element): string => {
  const attribute = (name: string) => element.getAttribute(name);
  return (
    attribute('data-track-id') ||
    attribute('id') ||
    cut(
      element.localName +
        '.' +
        ((element.matches(BUTTON) && textOf(element).replace(/\s+/g, ' ').trim()) ||
          attribute('aria-label') ||
          attribute('name') ||
          attribute('type') ||
          ''),
      100,
    )!
  );
};

/** A click on a button or link, or a form's submission: the one delegated listener. */
const onAction = guard((event: Event): void => {
  const path = event.composedPath().filter((node): node is Element => node instanceof Element);
  if (path.some((element) => element.matches(IGNORED))) return;
  const click = event.type === 'click';
  const element = click ? path.find((candidate) => candidate.matches(ACTIONABLE)) : path[0];
  // Submitting by a button is one act of the user's, so click and submission share its id.
  const interaction = (!click && cause()) || uuid();
  if (element) enter(record(click ? 'button_click' : 'form_submit', { element_id: identify(element) }, interaction));
});

const nameOfPage = (): string =>
  options.pageName ? options.pageName(location) : location.pathname + (location.hash.startsWith('#/') ? location.hash.split('?')[0] : '');

/** Makes a page view; under a name of its own when one is given. */
export const page = guard((name?: string): void => {
  pageName = name || nameOfPage();
  record('page_view', {});
});

let located: string;

const look = guard((): void => {
  const name = nameOfPage();
  if (name === located) return;
  located = pageName = name;
  if (options.pageViews !== false) page(name);
});

/** The page came into view as if it had just been loaded. */
export const arrive = guard((): void => {
  located = '';
  look();
  if (parked(queue).length) flush();
});

const watchNavigation = (): void => {
  const navigation = (window as { navigation?: EventTarget }).navigation;
  if (navigation) return navigation.addEventListener('currententrychange', look);
  for (const name of ['pushState', 'replaceState'] as const) {
    const change = history[name];
    history[name] = function (this: History, ...args) {
      change.apply(this, args);
      look();
    };
  }
  addEventListener('popstate', look);
  addEventListener('hashchange', look);
};

export const watch = (): void => {
  if (options.clicks !== false) addEventListener('click', onAction, true);
  if (options.forms !== false) addEventListener('submit', onAction, true);
  if (options.requests !== false) watchRequests();
  watchNavigation();
  document.addEventListener(
    'visibilitychange',
    guard(() => document.visibilityState === 'hidden' && leave()),
  );
  addEventListener(
    'pagehide',
    guard(() => {
      leave();
      handOver();
    }),
  );
  addEventListener(
    'pageshow',
    guard((event) => {
      if (event.persisted) {
        resume();
        arrive();
      }
    }),
  );
  // A page that is rendered ahead of the visit is viewed when the visit comes, if it comes.
  if ((document as { prerendering?: boolean }).prerendering) document.addEventListener('prerenderingchange', arrive, { once: true });
  else arrive();
};
