import { beforeEach, describe, expect, it, vi } from 'vitest';
import { events, load, server, types } from './harness.js';

const ID = 'X-Lakepulse-Interaction-Id';

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 100; turn++) await null;
};

/** The browser's getter of the current event, which the tracker takes when it is loaded. */
let current: Event | undefined;
Object.defineProperty(window, 'event', { configurable: true, get: () => current });

/** Dispatches as browsers do: while handlers run, the event is the window's. */
const dispatch = (target: EventTarget, event: Event): (() => void) => {
  const before = current;
  current = event;
  target.dispatchEvent(event);
  return () => {
    current = before;
  };
};

/** By a person: promise continuations run before the next handler, the event still being the window's. */
const click = async (selector: string): Promise<void> => {
  const done = dispatch(document.querySelector(selector)!, new MouseEvent('click', { bubbles: true, composed: true }));
  await turns();
  done();
};

/** By a script: its continuations run when it is done. */
const scriptedClick = (selector: string): void =>
  dispatch(document.querySelector(selector)!, new MouseEvent('click', { bubbles: true, composed: true }))();

const submit = (selector: string, submitter: Element | null): void =>
  dispatch(document.querySelector(selector)!, Object.assign(new Event('submit', { bubbles: true }), { submitter }))();

const handle = (selector: string, work: () => unknown): void =>
  document.querySelector(selector)!.addEventListener('click', () => void work());
const cause = (url: string) => server.page.find((request) => request.url.endsWith(url))!.headers.get(ID);
const interactionOf = (element: string) => events().find((event) => event.element_id === element)!.interaction_id;

let lakepulse: Awaited<ReturnType<typeof load>>;

beforeEach(async () => {
  document.body.innerHTML = '<button id="a">a</button><button id="b">b</button><form id="f"></form>';
  lakepulse = await load({ link: '/' });
});

describe('a request', () => {
  it('carries the click that started it, and the session', async () => {
    handle('#a', () => fetch('/api/a'));
    await click('#a');
    await lakepulse.flush();
    const [request] = server.page;
    expect(request!.headers.get(ID)).toBe(interactionOf('a'));
    expect(request!.headers.get('X-Lakepulse-Session-Id')).toBe(events()[0]!.session_id);
  });

  it('is marked when promise continuations of the click start it', async () => {
    handle('#a', async () => {
      await null;
      await Promise.resolve();
      await fetch('/api/a');
    });
    await click('#a');
    await lakepulse.flush();
    expect(cause('/api/a')).toBe(interactionOf('a'));
  });

  it('is marked when the answer to a marked request starts it', async () => {
    handle('#a', async () => {
      await fetch('/api/a');
      await fetch('/api/then');
    });
    await click('#a');
    await lakepulse.flush();
    expect(cause('/api/then')).toBe(interactionOf('a'));
  });

  it('keeps its own headers, of a Request as of plain options', async () => {
    const seen: Headers[] = [];
    handle('#a', async () => {
      await fetch('/api/a', { headers: { Accept: 'text/csv' }, method: 'POST' });
      await fetch(new Request(new URL('/api/r', location.href), { headers: { Accept: 'text/html' } }));
    });
    await click('#a');
    seen.push(...server.page.map((request) => request.headers));
    expect(seen.map((headers) => headers.get('Accept'))).toEqual(['text/csv', 'text/html']);
    expect(seen.every((headers) => headers.get(ID))).toBe(true);
  });

  it('is not marked when it comes later, by itself', async () => {
    await click('#a');
    await fetch('/api/poll');
    expect(cause('/api/poll')).toBeNull();
  });

  it('to another origin is not marked', async () => {
    handle('#a', () => Promise.all([fetch('https://elsewhere.example/x'), fetch('/api/a')]));
    await click('#a');
    expect(cause('/x')).toBeNull();
    expect(cause('/api/a')).not.toBeNull();
  });

  it('relative to a base elsewhere is not marked', async () => {
    document.head.innerHTML = '<base href="https://elsewhere.example/">';
    handle('#a', () => fetch('x'));
    await click('#a');
    document.head.innerHTML = '';
    expect(server.page[0]!.headers.get(ID)).toBeNull();
  });

  it('that the browser refuses reaches it as it was', async () => {
    handle('#a', () => fetch('http://[', { method: 'PUT' }));
    await click('#a');
    expect(server.page).toEqual([{ url: 'http://[', method: 'PUT', headers: new Headers() }]);
  });

  it('keeps what a Request given as options says', async () => {
    handle('#a', () => fetch('/api/a', new Request('/other', { method: 'DELETE' })));
    await click('#a');
    expect(server.page[0]!.method).toBe('DELETE');
    expect(cause('/api/a')).not.toBeNull();
  });

  it('of a path the page has not named is left alone, and so is everything without named paths', async () => {
    await load({ link: '/api/' });
    handle('#a', () => Promise.all([fetch('/other'), fetch('/api/a')]));
    await click('#a');
    expect(cause('/other')).toBeNull();
    expect(cause('/api/a')).not.toBeNull();

    const fresh = await load(null);
    const { fetch: native, XMLHttpRequest: xhr } = window;
    const { open } = xhr.prototype;
    fresh.init();
    expect(window.fetch).toBe(native);
    expect(xhr.prototype.open).toBe(open);
  });

  it('of a page with a global named event works, and the page view is recorded', async () => {
    const before = Object.getOwnPropertyDescriptor(window, 'event')!;
    Object.defineProperty(window, 'event', { configurable: true, value: { title: 'x' } });
    const fresh = await load({ link: '/' });
    await fetch('/api/a');
    new XMLHttpRequest().open('GET', '/api/x');
    Object.defineProperty(window, 'event', before);
    await fresh.flush();
    expect(server.page).toHaveLength(1);
    expect(types()).toEqual(['page_view']);
  });

  it('of a page whose fetch cannot be replaced is as before, and the rest is installed', async () => {
    const fresh = await load(null);
    const native = window.fetch;
    Object.defineProperty(window, 'fetch', { configurable: true, writable: false, value: native });
    fresh.init({ link: '/' });
    expect(window.fetch).toBe(native);
    Object.defineProperty(window, 'fetch', { configurable: true, writable: true, value: native });
    await fresh.flush();
    expect(types()).toEqual(['page_view']);
  });

  it('is not marked after an opt-out', async () => {
    lakepulse.optOut();
    handle('#a', () => fetch('/api/a'));
    await click('#a');
    expect(cause('/api/a')).toBeNull();
  });
});

describe('interleaved clicks', () => {
  it('each mark their own requests', async () => {
    handle('#a', () => fetch('/api/a'));
    handle('#b', () => fetch('/api/b'));
    await click('#a');
    await click('#b');
    await lakepulse.flush();
    expect(cause('/api/a')).toBe(interactionOf('a'));
    expect(cause('/api/b')).toBe(interactionOf('b'));
    expect(interactionOf('a')).not.toBe(interactionOf('b'));
  });

  it('made by a script in one go mark what starts at once, and leave alone what cannot be told', async () => {
    handle('#a', async () => {
      await null;
      void fetch('/api/a-later');
    });
    handle('#b', () => fetch('/api/b'));
    scriptedClick('#a');
    scriptedClick('#b');
    await turns();
    await lakepulse.flush();
    expect(cause('/api/b')).toBe(interactionOf('b'));
    expect(cause('/api/a-later')).toBeNull();
  });

  it('that repeat one click mark with the one that was recorded', async () => {
    handle('#a', () => fetch('/api/a'));
    await click('#a');
    await click('#a');
    await lakepulse.flush();
    expect(events().filter((event) => event.element_id === 'a')).toHaveLength(1);
    expect(server.page.map((request) => request.headers.get(ID))).toEqual([interactionOf('a'), interactionOf('a')]);
  });
});

describe('one act', () => {
  it('has one id: the click, the submission it makes, and the events the page tracks for it', async () => {
    handle('#a', () => lakepulse.track('query_executed'));
    await click('#a');
    submit('#f', document.querySelector('#a'));
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    const [, first, second, third, fourth] = events();
    expect(first!.interaction_id).toBeTruthy();
    expect(second).toMatchObject({ event_type: 'query_executed', interaction_id: first!.interaction_id });
    expect(third).toMatchObject({ event_type: 'form_submit', interaction_id: first!.interaction_id });
    expect(fourth!.interaction_id).toBeUndefined();
  });

  it('ends with its event: what else happens to the element is another', async () => {
    await click('#a');
    const button = document.querySelector('#a')!;
    button.addEventListener('mouseover', () => void fetch('/api/hover'));
    dispatch(button, new MouseEvent('mouseover', { bubbles: true }))();
    await turns();
    expect(cause('/api/hover')).toBeNull();
  });

  it('submits without a button under an id of its own', async () => {
    submit('#f', null);
    await lakepulse.flush();
    expect(events().at(-1)!.interaction_id).toBeTruthy();
  });
});

describe('XMLHttpRequest', () => {
  it('is marked like fetch, and so is what its answer starts', async () => {
    const set = vi.spyOn(XMLHttpRequest.prototype, 'setRequestHeader').mockImplementation(() => undefined);
    handle('#a', () => {
      const request = new XMLHttpRequest();
      request.open('GET', '/api/x');
      request.addEventListener('load', () => void fetch('/api/then'));
      setTimeout(() => dispatch(request, new Event('load'))(), 1_000);
    });
    await click('#a');
    await vi.advanceTimersByTimeAsync(1_000);
    await lakepulse.flush();
    expect(set.mock.calls).toEqual([
      [ID, interactionOf('a')],
      ['X-Lakepulse-Session-Id', events()[0]!.session_id],
    ]);
    expect(cause('/api/then')).toBe(interactionOf('a'));
  });

  it('without a cause is left alone', () => {
    const set = vi.spyOn(XMLHttpRequest.prototype, 'setRequestHeader').mockImplementation(() => undefined);
    new XMLHttpRequest().open('GET', '/api/x');
    expect(set).not.toHaveBeenCalled();
  });
});
