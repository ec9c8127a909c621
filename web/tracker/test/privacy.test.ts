import { describe, expect, it, vi } from 'vitest';
import { drain, events, leavePage, load, local, server, stored, tab, types } from './harness.js';

const says = (property: 'doNotTrack' | 'globalPrivacyControl', value: unknown): void =>
  void Object.defineProperty(navigator, property, { configurable: true, get: () => value });
const saysNothing = (): void => {
  says('doNotTrack', null);
  says('globalPrivacyControl', undefined);
};

const collects = async (options: Parameters<typeof load>[0] = {}): Promise<boolean> => {
  server.batches = [];
  const lakepulse = await load(options);
  lakepulse.track('query_executed');
  await drain();
  leavePage();
  saysNothing();
  return server.batches.length + server.beacons.length > 0;
};

describe('the browser’s wish', () => {
  it.each([
    ['doNotTrack', '1', false],
    ['doNotTrack', '0', true],
    ['doNotTrack', 'unspecified', true],
    ['doNotTrack', null, true],
    ['globalPrivacyControl', true, false],
    ['globalPrivacyControl', false, true],
  ] as const)('%s %s: collects %s', async (property, value, expected) => {
    says(property, value);
    expect(await collects()).toBe(expected);
  });

  it('leaves no trace when it is respected', async () => {
    says('doNotTrack', '1');
    await collects();
    expect(Object.keys({ ...local.keys, ...tab.keys })).toEqual([]);
  });

  it('yields to consent that the page has', async () => {
    says('doNotTrack', '1');
    expect(await collects({ consent: true })).toBe(true);
  });
});

describe('consent', () => {
  it.each([[false], [0]] as const)('%s: nothing before optIn', async (consent) => {
    const lakepulse = await load({ consent });
    lakepulse.track('query_executed');
    await drain();
    expect(events()).toEqual([]);
    lakepulse.optIn();
    lakepulse.track('model_invoked');
    await drain();
    expect(types()).toEqual(['page_view', 'model_invoked']);
  });

  it('given once counts on later pages', async () => {
    (await load({ consent: false })).optIn();
    await drain();
    server.batches = [];
    await load({ consent: false });
    await drain();
    expect(types()).toEqual(['page_view']);
  });
});

describe('opting out', () => {
  it('stops everything at once and forgets what was not sent', async () => {
    const lakepulse = await load();
    lakepulse.track('query_executed');
    lakepulse.optOut();
    lakepulse.track('model_invoked');
    leavePage();
    await drain();
    expect([server.batches, server.beacons, stored()]).toEqual([[], [], []]);
    expect(Object.keys(tab.keys)).toEqual([]);
  });

  it('stops the retries of a batch', async () => {
    server.otherwise = 'network error';
    const lakepulse = await load();
    void lakepulse.flush();
    await vi.advanceTimersByTimeAsync(500);
    lakepulse.optOut();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.batches).toHaveLength(1);
    expect(stored()).toEqual([]);
  });

  it('holds on later pages, and before init too', async () => {
    (await load(null)).optOut();
    expect(await collects()).toBe(false);
    expect(await collects({ consent: true })).toBe(false);
  });

  it('can be taken back, in a new session', async () => {
    const lakepulse = await load();
    await lakepulse.flush();
    lakepulse.optOut();
    lakepulse.optIn();
    await drain();
    expect(types()).toEqual(['page_view', 'page_view']);
    expect(events()[0]!.session_id).not.toBe(events()[1]!.session_id);
    lakepulse.optIn();
    await drain();
    expect(events()).toHaveLength(2);
  });
});

describe('before', () => {
  it('may change an event, in place or by another, but not who it is', async () => {
    const lakepulse = await load({
      before: (event) => ({ ...event, page_name: 'masked', metadata: { added: true }, id: 'x', seq: 99, timestamp: 'never', session_id: 'y' }),
    });
    lakepulse.track('query_executed');
    await lakepulse.flush();
    const [, event] = events();
    expect(event).toMatchObject({ page_name: 'masked', metadata: { added: true }, seq: 2 });
    expect(event!.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(Date.parse(event!.timestamp)).toBeGreaterThan(0);
    expect(event!.session_id).not.toBe('y');
  });

  it.each([null, undefined, false] as const)('drops an event by %s, and nobody counts it', async (nothing) => {
    const lakepulse = await load({ before: (event) => (event.event_type === 'page_view' ? nothing : event) });
    lakepulse.track('query_executed');
    await lakepulse.flush();
    expect(types()).toEqual(['query_executed']);
    expect(server.batches[0]!.dropped).toBe(0);
  });

  it('that throws costs the event, is counted, and the page does not notice', async () => {
    const lakepulse = await load({
      before: () => {
        throw new Error('hook');
      },
    });
    lakepulse.track('query_executed');
    await lakepulse.flush();
    expect(events()).toEqual([]);
    server.count = 0;
    const account = lakepulse.reconcile();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await account).toMatchObject({ created: 2, dropped: 2, missing: 0 });
  });
});
