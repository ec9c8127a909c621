import { describe, expect, it, vi } from 'vitest';
import { drain, events, expectSilence, load, server, START, types } from './harness.js';

const reconciled = async (lakepulse: Awaited<ReturnType<typeof load>>) => {
  const account = lakepulse.reconcile();
  account.catch(() => undefined); // awaited below, after the clock has moved
  await vi.advanceTimersByTimeAsync(10_000);
  return account;
};

describe('track', () => {
  it('sends what it is told, and what the tracker knows', async () => {
    const lakepulse = await load({ app: 'shop', appVersion: '1.10' });
    lakepulse.track('query_executed', { page_name: 'SQL', element_id: 'run', success: false, metadata: { rows: 3 } });
    await drain();
    expect(events()[1]).toEqual({
      id: expect.any(String), timestamp: new Date(START).toISOString(), session_id: events()[0]!.session_id, seq: 2,
      event_type: 'query_executed', page_name: 'SQL', element_id: 'run', success: false, metadata: { rows: 3 },
      app: 'shop', app_version: '1.10',
    });
  });

  it('keeps names within what the server takes', async () => {
    const lakepulse = await load();
    lakepulse.track('query_executed', { page_name: 'p'.repeat(300), element_id: 'e'.repeat(300) });
    await drain();
    expect(events()[1]!.page_name).toHaveLength(255);
    expect(events()[1]!.element_id).toHaveLength(255);
  });

  it('takes repeats on one element for one event, and leaves events without an element alone', async () => {
    const lakepulse = await load();
    for (let i = 0; i < 5; i++) lakepulse.track('preference_changed', { element_id: 'search' });
    for (let i = 0; i < 5; i++) lakepulse.track('query_executed');
    await drain();
    expect(types().filter((type) => type === 'preference_changed')).toHaveLength(1);
    expect(types().filter((type) => type === 'query_executed')).toHaveLength(5);
  });

  it('keeps the event when one value is odd, and leaves the value out or writes it as text', async () => {
    const lakepulse = await load();
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    const thrower = { get rows(): number { throw new Error('no'); } };
    lakepulse.track('query_executed', { metadata: loop });
    lakepulse.track('query_executed', { metadata: thrower });
    lakepulse.track('query_executed', { metadata: { rows: 12n, name: 'a\ud800' } });
    lakepulse.track('model_invoked', { page_name: 1 as unknown as string });
    lakepulse.track('export_triggered', null as unknown as undefined);
    lakepulse.page({ path: '/users' } as unknown as string);
    await drain();
    expect(types()).toEqual(['page_view', 'query_executed', 'query_executed', 'query_executed', 'model_invoked', 'export_triggered', 'page_view']);
    expect(events().map(({ metadata }) => metadata)).toEqual([undefined, undefined, undefined, { rows: '12', name: 'a\ufffd' }, undefined, undefined, undefined]);
    expect(events()[4]!.page_name).toBe('1');
    expect(events()[6]!.page_name).toBe(events()[0]!.page_name);
    expect(server.batches[0]!.dropped).toBe(0);
  });

  it('before init throws nothing', async () => {
    const lakepulse = await load(null);
    expect(() => lakepulse.track('query_executed')).not.toThrow();
    expect(() => lakepulse.page()).not.toThrow();
    expect(() => lakepulse.optIn()).not.toThrow();
  });
});

describe('init', () => {
  it('starts once, however often it is called', async () => {
    const lakepulse = await load();
    lakepulse.init({ endpoint: '/elsewhere' });
    document.body.innerHTML = '<button id="b">x</button>';
    document.querySelector('button')!.click();
    await drain();
    expect(types()).toEqual(['page_view', 'button_click']);
    expect(server.batches[0]!.url).toBe('/api/v1/metrics/usage-events');
  });

  it('starts once, whichever copy of the script calls it', async () => {
    await load();
    vi.resetModules();
    const copy = await import('../src/index.js');
    copy.init();
    await drain();
    expect(types()).toEqual(['page_view']);
  });
});

describe('reconcile', () => {
  it('asks for the session’s events since it began, and finds nothing missing', async () => {
    const lakepulse = await load();
    lakepulse.track('query_executed');
    server.count = 2;
    expect(await reconciled(lakepulse)).toEqual({ created: 2, stored: 2, pending: 0, dropped: 0, missing: 0 });
    const [question] = server.questions;
    expect(question!.pathname).toBe('/api/v1/metrics/usage/count');
    const { start, end, session_id } = Object.fromEntries(question!.searchParams) as Record<string, string>;
    expect(session_id).toBe(events()[0]!.session_id);
    expect(Date.parse(start!)).toBe(START - 1_000);
    expect(Date.parse(end!)).toBeGreaterThan(START);
    expectSilence();
  });

  it('names what is missing, dropped and pending', async () => {
    const lakepulse = await load();
    server.answers = [{ body: { rejected: [{ index: 0, field: 'page_name', reason: 'no' }] } }];
    lakepulse.track('query_executed');
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    server.otherwise = { status: 503 };
    lakepulse.track('export_triggered');
    server.count = 1;
    expect(await reconciled(lakepulse)).toEqual({ created: 4, stored: 1, pending: 1, dropped: 1, missing: 1 });
  });

  it('asks from before the session’s id when the clock was ahead', async () => {
    vi.setSystemTime(START + 3_600_000);
    const lakepulse = await load();
    server.answers = [
      { status: 400, body: { server_time: new Date(START).toISOString(), rejected: [{ index: 0, field: 'timestamp', reason: 'future' }] } },
    ];
    server.count = 1;
    expect(await reconciled(lakepulse)).toMatchObject({ created: 1, missing: 0 });
    expect(Date.parse(server.questions[0]!.searchParams.get('start')!)).toBeLessThan(START);
  });

  it('rejects when the server cannot be asked', async () => {
    const lakepulse = await load();
    server.count = { status: 503, body: { error: 'unavailable' } };
    await expect(reconciled(lakepulse)).rejects.toThrow('503');
    server.count = 'network error';
    await expect(reconciled(lakepulse)).rejects.toThrow();
  });
});

describe('the plain script', () => {
  const run = async (attributes: Record<string, string>) => {
    await load(null);
    const script = Object.assign(document.createElement('script'), { textContent: '' });
    Object.assign(script.dataset, attributes);
    vi.spyOn(document, 'currentScript', 'get').mockReturnValue(script);
    await import('../src/plain.js');
    return (window as unknown as { lakepulse: Awaited<ReturnType<typeof load>> }).lakepulse;
  };

  it('starts by its own tag, with the options of its attributes', async () => {
    const lakepulse = await run({ endpoint: '/metrics', appVersion: '1.10', batch: '3', app: 'shop' });
    expect(Object.keys(lakepulse).sort()).toEqual(['flush', 'init', 'optIn', 'optOut', 'page', 'reconcile', 'track']);
    lakepulse.track('query_executed');
    lakepulse.track('model_invoked');
    await vi.advanceTimersByTimeAsync(0);
    expect(server.batches[0]!.url).toBe('/metrics/api/v1/metrics/usage-events');
    expect(events()[0]).toMatchObject({ app: 'shop', app_version: '1.10' });
  });

  it('takes times and bounds as texts', async () => {
    server.otherwise = 'network error';
    const lakepulse = await run({ interval: '50', retry: '10', capacity: '2', debounce: '20', batch: '100' });
    for (let i = 0; i < 3; i++) lakepulse.track('query_executed');
    await vi.advanceTimersByTimeAsync(50);
    expect(server.batches).toHaveLength(1);
    expect(events()).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(30);
    expect(server.batches).toHaveLength(3);
  });

  it('waits for init when it is told to', async () => {
    const lakepulse = await run({ manual: 'true' });
    await drain();
    expect(events()).toEqual([]);
    lakepulse.init();
    await drain();
    expect(types()).toEqual(['page_view']);
  });

  it.each([['0', 0], ['false', 0], ['1', 1]])('collects nothing without consent: data-consent="%s"', async (consent, sent) => {
    await run({ consent });
    await drain();
    expect(events()).toHaveLength(sent);
  });
});
