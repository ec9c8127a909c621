import { beforeEach, describe, expect, it, vi } from 'vitest';
import { events, load, server } from './harness.js';

const ID = 'X-Lakepulse-Interaction-Id';

/** A click as a person makes it. */
const click = (selector: string, type = 'click'): void => {
  const event = new MouseEvent(type, { bubbles: true, composed: true });
  Object.defineProperty(event, 'isTrusted', { value: true });
  document.querySelector(selector)!.dispatchEvent(event);
};
const handle = (selector: string, work: () => unknown): void =>
  document.querySelector(selector)!.addEventListener('click', () => void work());
const tick = () => vi.advanceTimersByTimeAsync(0);
const cause = (url: string) => server.page.find((request) => request.url.endsWith(url))!.headers.get(ID);
const interactionOf = (element: string) => events().find((event) => event.element_id === element)!.interaction_id;

let lakepulse: Awaited<ReturnType<typeof load>>;

beforeEach(async () => {
  document.body.innerHTML = '<button id="a">a</button><button id="b">b</button><form id="f"></form>';
  lakepulse = await load();
});

describe('a request', () => {
  it('carries the click that started it, and the session', async () => {
    handle('#a', () => fetch('/api/a'));
    click('#a');
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
    click('#a');
    await tick();
    await lakepulse.flush();
    expect(cause('/api/a')).toBe(interactionOf('a'));
  });

  it('is marked when the answer to a marked request starts it', async () => {
    handle('#a', async () => {
      await fetch('/api/a');
      await fetch('/api/then');
    });
    click('#a');
    await tick();
    await lakepulse.flush();
    expect(cause('/api/then')).toBe(interactionOf('a'));
  });

  it('keeps its own headers, of a Request as of plain options', async () => {
    const seen: Headers[] = [];
    handle('#a', async () => {
      await fetch('/api/a', { headers: { Accept: 'text/csv' }, method: 'POST' });
      await fetch(new Request(new URL('/api/r', location.href), { headers: { Accept: 'text/html' } }));
    });
    click('#a');
    await tick();
    seen.push(...server.page.map((request) => request.headers));
    expect(seen.map((headers) => headers.get('Accept'))).toEqual(['text/csv', 'text/html']);
    expect(seen.every((headers) => headers.get(ID))).toBe(true);
  });

  it('is not marked when it comes later, by itself', async () => {
    click('#a');
    await tick();
    await fetch('/api/poll');
    expect(cause('/api/poll')).toBeNull();
  });

  it('to another origin is not marked', async () => {
    handle('#a', () => Promise.all([fetch('https://elsewhere.example/x'), fetch('/api/a')]));
    click('#a');
    await tick();
    expect(cause('/x')).toBeNull();
    expect(cause('/api/a')).not.toBeNull();
  });

  it('relative to a base elsewhere is not marked', async () => {
    document.head.innerHTML = '<base href="https://elsewhere.example/">';
    handle('#a', () => fetch('x'));
    click('#a');
    await tick();
    document.head.innerHTML = '';
    expect(server.page[0]!.headers.get(ID)).toBeNull();
  });

  it('fails as it would without us', async () => {
    await expect(fetch('http://[', {})).resolves.toBeDefined(); // our fake takes anything; nothing is parsed without a cause
    let failed: unknown;
    handle('#a', () => fetch('http://[').catch((error: unknown) => (failed = error)));
    click('#a');
    await tick();
    expect(failed).toBeInstanceOf(TypeError);
  });

  it('is not marked when that is switched off', async () => {
    const native = window.fetch;
    await load({ ignoreRequests: true });
    expect(window.fetch).not.toBe(native);
    const { fetch: plain } = window;
    handle('#a', () => plain('/api/a'));
    click('#a');
    await tick();
    expect(cause('/api/a')).toBeNull();
  });

  it('is not marked after an opt-out', async () => {
    lakepulse.optOut();
    handle('#a', () => fetch('/api/a'));
    click('#a');
    await tick();
    expect(cause('/api/a')).toBeNull();
  });
});

describe('interleaved clicks', () => {
  it('each mark their own requests', async () => {
    handle('#a', () => fetch('/api/a'));
    handle('#b', () => fetch('/api/b'));
    click('#a');
    await Promise.resolve();
    click('#b');
    await tick();
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
    document.querySelector<HTMLElement>('#a')!.click();
    document.querySelector<HTMLElement>('#b')!.click();
    await tick();
    await lakepulse.flush();
    expect(cause('/api/b')).toBe(interactionOf('b'));
    expect(cause('/api/a-later')).toBeNull();
  });

  it('that repeat one click mark with the one that was recorded', async () => {
    handle('#a', () => fetch('/api/a'));
    click('#a');
    await tick();
    click('#a');
    await tick();
    await lakepulse.flush();
    expect(events().filter((event) => event.element_id === 'a')).toHaveLength(1);
    expect(server.page.map((request) => request.headers.get(ID))).toEqual([interactionOf('a'), interactionOf('a')]);
  });
});

describe('one act', () => {
  it('has one id: the click, the submission it makes, and the events the page tracks for it', async () => {
    handle('#a', () => {
      click('#f', 'submit');
      lakepulse.track('query_executed');
    });
    click('#a');
    await tick();
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    const [, first, second, third, fourth] = events();
    expect(first!.interaction_id).toBeTruthy();
    expect(second).toMatchObject({ event_type: 'form_submit', interaction_id: first!.interaction_id });
    expect(third).toMatchObject({ event_type: 'query_executed', interaction_id: first!.interaction_id });
    expect(fourth!.interaction_id).toBeUndefined();
  });
});

describe('XMLHttpRequest', () => {
  it('is marked like fetch, and so is what its answer starts', async () => {
    const set = vi.spyOn(XMLHttpRequest.prototype, 'setRequestHeader').mockImplementation(() => undefined);
    handle('#a', () => {
      const request = new XMLHttpRequest();
      request.open('GET', '/api/x');
      request.addEventListener('load', () => void fetch('/api/then'));
      setTimeout(() => request.dispatchEvent(new Event('load')), 1_000);
    });
    click('#a');
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
