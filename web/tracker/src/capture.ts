// What is seen of the page: where it is, and what is clicked and submitted. Nothing is ever read of an input's value, and
// nothing at all of a `data-track-ignore` subtree; text is read of buttons and links only, from text nodes: `innerText`
// would force a layout.

import { cause, watchRequests, type Caused } from './causes.js';
import { enabled, guard, on, options } from './config.js';
import { leave } from './delivery.js';
import { cut, flush, push } from './queue.js';
import { handOver, begin, uuid } from './session.js';
import { parked } from './store.js';
import type { EventDetail, EventType } from './types.js';

const IGNORED = '[data-track-ignore]';
const BUTTON = 'button,a,summary,[role=button]';
const ACTIONABLE =
  BUTTON + ',[data-track-id],[type=button],[type=submit],[type=checkbox],[type=radio]';

/** Elements whose text is what somebody typed or chose, or is not text. */
const UNREAD = IGNORED + ',textarea,style,[contenteditable]';

/** By type and element: the interaction of what was just recorded, and the timer that ends the debounce. */
const recent: Record<string, [interaction: string | undefined, timer: ReturnType<typeof setTimeout>]> = {};

/** Of events that do not name theirs. */
export let pageName: string;

/** Makes an event unless it repeats one; answers with the interaction both belong to. */
export const record = (type: EventType, detail: EventDetail = {}, interaction = cause()): string | undefined => {
  if (!enabled()) return;
  const key = type + detail.element_id;
  const repeated = detail.element_id && recent[key];
  if (repeated) {
    interaction = repeated[0];
    clearTimeout(repeated[1]);
  } else push(type, detail, interaction);
  recent[key] = [interaction, setTimeout(() => delete recent[key], options.debounce)];
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
    attribute('id') ||
    cut(`${element.localName}.${text || attribute('aria-label') || attribute('name') || ''}`, 100)!
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
      element._lpb = event._lp = record(type, { element_id: identify(element) }, event.submitter?._lpb || uuid());
  };

/** The path, with the fragment where that is a route; never the query. */
const nameOfPage = (): string => location.pathname + (/^#\/[^?]*/.exec(location.hash) || '');

/** Makes a page view; under a name of its own when one is given. */
export const page = guard((name?: string): void => {
  pageName = name || nameOfPage();
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
  const { navigation } = window as { navigation?: EventTarget };
  if (navigation) return navigation.addEventListener('currententrychange', look);
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
  if (!options.ignoreRequests) watchRequests();
  watchNavigation();
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
