// What is seen of the page: where it is, and what is clicked and submitted. Nothing is ever read of an input's value, and
// nothing at all of a `data-track-ignore` subtree; text is read of buttons and links only, from text nodes: `innerText`
// would force a layout.

import { cause, watchRequests, type Caused } from './causes.js';
import { attempt, enabled, guard, on, options } from './config.js';
import { leave } from './delivery.js';
import { cut, flush, push } from './queue.js';
import { handOver, begin, uuid } from './session.js';
import { parked } from './store.js';
import type { EventDetail, EventType } from './types.js';

const IGNORED = '[data-track-ignore]';
const BUTTON = 'button,a,summary,[role^=menuitem],:is([role=button],[role=link],[role=option],[role=tab],[role=switch],[role=checkbox],[role=radio])';

/** Ids that a component library makes up: they differ from page to page. */
const MADE_UP = /^(radix|mui|headless|react)-|[:«]r|_r_/;
const ACTIONABLE =
  BUTTON + ',[data-track-id],[type=button],[type=submit],[type=checkbox],[type=radio]';

/** Elements whose text is what somebody typed or chose, or is not text. */
const UNREAD = IGNORED + ',textarea,style,[contenteditable]';

/** By type and element, or its name: the interaction of what was just recorded, and the timer that ends the debounce. */
const recent = new Map<unknown, [interaction: string | undefined, timer: ReturnType<typeof setTimeout>]>();

/** Of events that do not name theirs. */
export let pageName: string;

/** Makes an event unless it repeats one; answers with the interaction both belong to. */
export const record = (
  type: EventType,
  given?: EventDetail,
  interaction = cause(),
  element?: unknown,
): string | undefined => {
  if (!enabled()) return;
  const detail = given || {};
  const key = element || type + detail.element_id;
  const repeated = detail.element_id && recent.get(key);
  if (repeated) {
    interaction = repeated[0];
    clearTimeout(repeated[1]);
  } else push(type, detail, interaction);
  recent.set(key, [interaction, setTimeout(() => recent.delete(key), options.debounce)]);
  return interaction;
};

const textOf = (node: Node): string =>
  node.nodeType === 3
    ? (node as Text).data
    : (node as Element).matches?.(UNREAD)
      ? ''
      : [...node.childNodes].map(textOf).join('');

/** `data-track-id`, else `id`, else the tag and what a button says. */
export const identify = (element: Element): string => {
  const attribute = (name: string) => element.getAttribute(name);
  const text = element.matches(BUTTON) && textOf(element).replace(/\s+/g, ' ').trim();
  return (
    attribute('data-track-id') ||
    (!MADE_UP.test(attribute('id')!) && attribute('id')) ||
    cut(
      `${element.localName}.${text || attribute('aria-label') || attribute('title') || attribute('name') || ''}`,
      100,
    )!
  );
};

/** Elements bear the interaction of their last click. */
interface Clicked {
  _lpb?: string | undefined;
}

/** Makes an event of the given type of what is done to the nearest element that the selector matches. */
const capture =
  (type: EventType, selector: string) =>
  (event: Event & Caused & { submitter?: Clicked | null }): void => {
    const path = event.composedPath() as (Element & Clicked)[]; // and the document and the window, which match nothing
    const element = path.find((candidate) => candidate.matches?.(selector));
    if (element && !path.some((ancestor) => ancestor.matches?.(IGNORED)))
      // Submitting by a button is one act of the user's, so click and submission share its id.
      element._lpb = event._lp = record(type, { element_id: identify(element) }, event.submitter?._lpb || uuid(), element);
  };

/** The path, with the fragment where that is a route, as people read them; never the query, nor what follows a semicolon. */
const nameOfPage = (): string => {
  const name = (location.pathname + (/^#\/[^?&]*/.exec(location.hash) || '')).replace(/;[^/]*/g, '');
  return attempt(() => decodeURI(name)) || name;
};

/** Makes a page view; under a name of its own when one is given. */
export const page = guard((name?: unknown): void => {
  // Routers hand their callbacks objects.
  pageName = ((name as string | undefined)?.trim && (name as string)) || nameOfPage();
  record('page_view');
});

let located: string | undefined;

const look = (): void => {
  if (located !== (located = nameOfPage())) page();
};

/** The page came into view as if it had just been loaded. */
export const arrive = (): void => {
  page((located = nameOfPage()));
  if (parked()[0]) flush();
};

/** Browsers without the Navigation API tell of going back and forth only. */
const watchNavigation = (): void => {
  const { navigation } = window as { navigation?: EventTarget & { currentEntry?: unknown } };
  if (navigation?.currentEntry) return navigation.addEventListener('currententrychange', look);
  for (const name of ['pushState', 'replaceState'] as const) {
    const change = history[name];
    history[name] = (...args) => {
      change.apply(history, args);
      look();
    };
  }
  on('popstate', look);
};

export const watch = (): void => {
  on('click', capture('button_click', ACTIONABLE));
  on('submit', capture('form_submit', 'form'));
  if (options.link) watchRequests();
  attempt(watchNavigation);
  on('visibilitychange', () => document.hidden && leave());
  on('pagehide', () => {
    leave();
    handOver();
  });
  on<PageTransitionEvent>('pageshow', (event) => {
    if (event.persisted) {
      begin();
      arrive();
    }
  });
  // A page that is rendered ahead of the visit is viewed when the visit comes, if it comes.
  on('prerenderingchange', arrive);
  if (!(document as { prerendering?: boolean }).prerendering) arrive();
};
