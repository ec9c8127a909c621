import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { UsageEvent } from '../src/types.js';
import { events, expectSilence, load } from './harness.js';

const on = (html: string): void => {
  document.body.innerHTML = html;
};
const click = (selector: string) =>
  document.querySelector(selector)!.dispatchEvent(new MouseEvent('click', { bubbles: true, composed: true }));
const submit = (selector: string) =>
  document.querySelector(selector)!.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));

/** What the tracker made of all that, without the first page view. */
const seen = async (lakepulse: Awaited<ReturnType<typeof load>>): Promise<UsageEvent[]> => {
  await lakepulse.flush();
  return events().slice(1);
};

let lakepulse: Awaited<ReturnType<typeof load>>;

describe('clicks', () => {
  beforeEach(async () => {
    lakepulse = await load();
  });

  it.each([
    ['data-track-id before id', '<button data-track-id="save" id="b">Save</button>', 'button', 'save'],
    ['id before text', '<button id="b">Save</button>', 'button', 'b'],
    ['tag and text', '<button> Save\n  all </button>', 'button', 'button.Save all'],
    ['the text of a link', '<a href="#">Home</a>', 'a', 'a.Home'],
    ['the text of a summary', '<details><summary>More</summary></details>', 'summary', 'summary.More'],
    ['the text of a button by role', '<div role="button">Go</div>', 'div', 'div.Go'],
    ['the label of a button without text', '<button aria-label="Close"><svg></svg></button>', 'button', 'button.Close'],
    ['the name of an input', '<input type="checkbox" name="agree" value="secret">', 'input', 'input.agree'],
    ['text before an id that a library made up', '<button id="radix-_r_3_-trigger-2">Open</button>', 'button', 'button.Open'],
    ['text before an id that React made up', '<button id=":r5:">Open</button>', 'button', 'button.Open'],
    ['an id that only looks a little so', '<button id="report">Open</button>', 'button', 'report'],
    ['the text of a menu item by role', '<div role="menuitem">Delete</div>', 'div', 'div.Delete'],
    ['the text of a radio item in a menu', '<div role="menuitemradio">Small</div>', 'div', 'div.Small'],
    ['the text of a switch by role', '<span role="switch">Dark</span>', 'span', 'span.Dark'],
    ['the title of a button without text', '<button title="Close"><svg></svg></button>', 'button', 'button.Close'],
    ['the nearest actionable ancestor', '<button id="outer"><b><i>x</i></b></button>', 'i', 'outer'],
    ['a marked element of any kind', '<div data-track-id="card"><p>long text</p></div>', 'p', 'card'],
  ])('name their element by %s', async (_, html, selector, name) => {
    on(html);
    click(selector);
    const [event] = await seen(lakepulse);
    expect(event).toMatchObject({ event_type: 'button_click', element_id: name, page_name: '/start' });
    expectSilence();
  });

  it('cut tag and text to 100 characters, and no character in two', async () => {
    on(`<button>${'😀'.repeat(120)}</button>`);
    click('button');
    const [event] = await seen(lakepulse);
    expect([...event!.element_id!]).toHaveLength(100);
    expect(event!.element_id).toBe(`button.${'😀'.repeat(93)}`);
  });

  it('on elements of one name are each an event, repeats on one element are not', async () => {
    on('<button>Delete</button>'.repeat(8));
    for (const button of document.querySelectorAll('button')) {
      button.dispatchEvent(new MouseEvent('click', { bubbles: true, composed: true }));
      button.dispatchEvent(new MouseEvent('click', { bubbles: true, composed: true }));
    }
    expect((await seen(lakepulse)).map(({ element_id }) => element_id)).toEqual(Array(8).fill('button.Delete'));
  });

  it.each(['<p>text</p>', '<input type="text">', '<input type="password">', '<textarea></textarea>', '<select></select>', '<label>x</label>'])(
    'on %s are nobody’s business',
    async (html) => {
      on(html);
      click('body > *');
      expect(await seen(lakepulse)).toEqual([]);
    },
  );

  it('are seen even when the page stops them', async () => {
    on('<button id="b">x</button>');
    document.querySelector('button')!.addEventListener('click', (event) => event.stopImmediatePropagation());
    click('button');
    expect(await seen(lakepulse)).toHaveLength(1);
  });

  it('are seen within open shadow roots', async () => {
    on('<div id="host"></div>');
    const root = document.querySelector('#host')!.attachShadow({ mode: 'open' });
    root.innerHTML = '<button id="inner">x</button>';
    root.querySelector('button')!.dispatchEvent(new MouseEvent('click', { bubbles: true, composed: true }));
    expect((await seen(lakepulse)).map((event) => event.element_id)).toEqual(['inner']);
  });

  it('are one click when repeated within 500 ms of each other on one element', async () => {
    on('<button id="a">x</button><button id="b">x</button>');
    click('#a');
    await vi.advanceTimersByTimeAsync(499);
    click('#a');
    click('#b');
    await vi.advanceTimersByTimeAsync(499);
    click('#a');
    await vi.advanceTimersByTimeAsync(500);
    click('#a');
    expect((await seen(lakepulse)).map((event) => event.element_id)).toEqual(['a', 'b', 'a']);
  });
});

describe('nothing is captured', () => {
  beforeEach(async () => {
    lakepulse = await load();
  });

  it.each([
    ['in an ignored subtree', '<div data-track-ignore><button id="b">x</button></div>', '#b'],
    ['on an ignored element', '<button data-track-ignore id="b">x</button>', '#b'],
    ['in an ignored part of a button', '<button id="b">Pay <span data-track-ignore>4111</span></button>', 'span'],
  ])('%s', async (_, html, selector) => {
    on(html);
    click(selector);
    expect(await seen(lakepulse)).toEqual([]);
  });

  it('of the submission of an ignored form', async () => {
    on('<div data-track-ignore><form id="f"></form></div>');
    submit('form');
    expect(await seen(lakepulse)).toEqual([]);
  });

  it('in an ignored subtree beyond a shadow root', async () => {
    on('<div data-track-ignore><div id="host"></div></div>');
    const root = document.querySelector('#host')!.attachShadow({ mode: 'open' });
    root.innerHTML = '<button id="inner">x</button>';
    root.querySelector('button')!.dispatchEvent(new MouseEvent('click', { bubbles: true, composed: true }));
    expect(await seen(lakepulse)).toEqual([]);
  });

  it('of what was typed: no value, no editable text, no ignored text', async () => {
    on(`<form name="pay"><input name="card" value="4111"><input type="password" value="hunter2"><textarea>4111</textarea>
      <button>Pay <b data-track-ignore>4111</b><i contenteditable>hunter2</i><style>.x{}</style><textarea>hunter2</textarea> now</button>
      <input type="submit" value="4111"></form>`);
    click('button');
    click('[type=submit]');
    submit('form');
    const all = await seen(lakepulse);
    expect(new Set(all.map((event) => event.element_id))).toEqual(new Set(['button.Pay now', 'input.', 'form.pay']));
    expect(JSON.stringify(all)).not.toMatch(/4111|hunter2|\.x/);
  });

  it('of the query or of a fragment that is no route', async () => {
    history.pushState(null, '', '/report?token=secret#access_token=secret');
    lakepulse.page();
    expect(JSON.stringify(await seen(lakepulse))).not.toContain('secret');
  });
});

describe('forms', () => {
  it('are seen when submitted, named like everything else', async () => {
    lakepulse = await load();
    on('<form data-track-id="login"></form><form id="f"></form><form name="search"><button>x</button></form>');
    submit('form');
    submit('#f');
    submit('[name=search]');
    expect((await seen(lakepulse)).map((event) => [event.event_type, event.element_id])).toEqual([
      ['form_submit', 'login'],
      ['form_submit', 'f'],
      ['form_submit', 'form.search'],
    ]);
  });

  it('with inputs named like properties do not confuse it', async () => {
    lakepulse = await load();
    on('<form id="f"><input name="id"><input name="getAttribute"></form>');
    submit('form');
    await lakepulse.flush();
  });
});

describe('page views', () => {
  it('are made at the start, and on navigation that changes the path', async () => {
    lakepulse = await load();
    history.pushState(null, '', '/users');
    history.pushState(null, '', '/users?page=2');
    history.replaceState(null, '', '/users/1');
    history.pushState(null, '', '/users/1#/tab?x=1');
    await lakepulse.flush();
    expect(events().map((event) => [event.event_type, event.page_name])).toEqual([
      ['page_view', '/start'],
      ['page_view', '/users'],
      ['page_view', '/users/1'],
      ['page_view', '/users/1#/tab'],
    ]);
  });

  it('are made when the browser goes back', async () => {
    lakepulse = await load();
    history.pushState(null, '', '/users');
    history.replaceState = Object.getPrototypeOf(history).replaceState as typeof history.replaceState;
    history.replaceState(null, '', '/start');
    window.dispatchEvent(new PopStateEvent('popstate'));
    expect((await seen(lakepulse)).map((event) => event.page_name)).toEqual(['/users', '/start']);
  });

  it.each([
    ['/%E5%AE%A2%E6%88%B7', '/客户'],
    ['/app;jsessionid=SECRET/orders', '/app/orders'],
    ['/start#/cb&access_token=SECRET', '/start#/cb'],
    ['/start#/list?token=SECRET', '/start#/list'],
    ['/100%', '/100%'],
  ])('of %s are named %s', async (address, name) => {
    history.replaceState(null, '', address);
    await load();
    await (await import('../src/index.js')).flush();
    expect(events()[0]!.page_name).toBe(name);
    history.replaceState(null, '', '/start');
  });

  it('come from the Navigation API where there is one, and history stays as it is', async () => {
    const navigation = Object.assign(new EventTarget(), { currentEntry: {} });
    vi.stubGlobal('navigation', navigation);
    const { pushState } = history;
    lakepulse = await load();
    expect(history.pushState).toBe(pushState);
    history.pushState(null, '', '/users');
    navigation.dispatchEvent(new Event('currententrychange'));
    expect((await seen(lakepulse)).map((event) => event.page_name)).toEqual(['/users']);
  });

  it('come from history where the page has a global named navigation', async () => {
    vi.stubGlobal('navigation', { open: true });
    lakepulse = await load();
    history.pushState(null, '', '/users');
    expect((await seen(lakepulse)).map((event) => event.page_name)).toEqual(['/users']);
  });

  it('wait for a page that is rendered ahead to be visited', async () => {
    Object.defineProperty(document, 'prerendering', { configurable: true, value: true });
    lakepulse = await load();
    await lakepulse.flush();
    expect(events()).toEqual([]);
    Object.defineProperty(document, 'prerendering', { configurable: true, value: false });
    document.dispatchEvent(new Event('prerenderingchange', { bubbles: true }));
    await lakepulse.flush();
    expect(events()).toHaveLength(1);
  });

  it('can be made by hand, under a name that later events carry', async () => {
    lakepulse = await load();
    lakepulse.page('Billing');
    lakepulse.track('export_triggered');
    expect((await seen(lakepulse)).map((event) => [event.event_type, event.page_name])).toEqual([
      ['page_view', 'Billing'],
      ['export_triggered', 'Billing'],
    ]);
  });
});
