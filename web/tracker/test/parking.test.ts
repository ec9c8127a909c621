import { describe, expect, it, vi } from 'vitest';
import { drain, events, hide, leavePage, listened, load, local, server, stored, types } from './harness.js';

const advance = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const ids = (batches: { events: { id: string }[] }[]) => batches.flatMap((batch) => batch.events.map((event) => event.id));

describe('a page that is left', () => {
  it.each([['hidden', () => hide()], ['unloaded', leavePage]])('sends the rest by beacon when %s, as text', async (_, leave) => {
    const beacon = vi.spyOn(navigator, 'sendBeacon');
    const lakepulse = await load();
    lakepulse.track('query_executed');
    leave();
    expect(server.beacons.flatMap((sent) => sent.events.map((event) => event.event_type))).toEqual(['page_view', 'query_executed']);
    expect(beacon.mock.calls[0]).toEqual(['/api/v1/metrics/usage-events', expect.any(String)]);
  });

  it('never listens to unload', async () => {
    await load();
    expect(listened).toContain('pagehide');
    expect(listened).not.toContain('unload');
    expect(listened).not.toContain('beforeunload');
  });

  it('sends nothing twice by beacon', async () => {
    await load();
    hide();
    leavePage();
    expect(server.beacons).toHaveLength(1);
  });

  it('splits beacons under 64 kB', async () => {
    const lakepulse = await load({ batch: 1000 });
    for (let i = 0; i < 400; i++) lakepulse.track('query_executed', { metadata: { i, text: 'x'.repeat(200) } });
    hide();
    expect(server.beacons.length).toBeGreaterThan(2);
    for (const beacon of server.beacons) expect(new Blob([JSON.stringify(beacon)]).size).toBeLessThan(64_000);
    expect(new Set(ids(server.beacons)).size).toBe(401);
  });

  it('keeps beaconed events until the next page has the answer, for a beacon can be lost', async () => {
    await load();
    leavePage();
    expect(stored().map((entry) => entry.parked)).toEqual([true]);
    await load();
    await advance(0);
    expect(ids(server.batches)).toContain(ids(server.beacons)[0]);
    leavePage();
    await load();
    await drain();
    expect(stored()).toEqual([]);
  });

  it('keeps what the browser would not take', async () => {
    server.beaconAccepted = false;
    await load();
    leavePage();
    await load();
    await drain();
    expect(types()).toEqual(['page_view', 'page_view']);
    expect(stored()).toEqual([]);
  });

  it('beacons what is still on its way, and forgets it when the answer comes after all', async () => {
    let hidden = false;
    server.otherwise = () => {
      if (!hidden) hide();
      hidden = true;
      return {};
    };
    const lakepulse = await load();
    await lakepulse.flush();
    expect(ids(server.beacons)).toEqual(ids(server.batches));
    expect(stored()).toEqual([]);
  });

  it('goes on when it is shown again', async () => {
    const lakepulse = await load();
    hide();
    hide(false);
    lakepulse.track('query_executed');
    await drain();
    expect(types()).toContain('query_executed');
    expect(stored()).toEqual([]);
  });
});

describe('the store', () => {
  it('holds an event from the moment it is made, for the page may crash', async () => {
    const lakepulse = await load();
    lakepulse.track('query_executed');
    expect(stored().map((entry) => [entry.event.event_type, entry.parked])).toEqual([['page_view', false], ['query_executed', false]]);
  });

  it('gives the events of a crashed page to others after two minutes, not before', async () => {
    const first = await load();
    first.track('query_executed');
    const second = await load(); // without a pagehide
    await advance(119_000);
    await second.flush();
    expect(types()).toEqual(['page_view']);
    await advance(1_001);
    await second.flush();
    expect(types()).toEqual(['page_view', 'page_view', 'query_executed']);
    expect(stored()).toEqual([]);
  });

  it('sends parked events with the next page load', async () => {
    server.otherwise = { status: 503 };
    const lakepulse = await load();
    lakepulse.track('query_executed');
    void lakepulse.flush();
    await advance(3_000);
    lakepulse.track('model_invoked');
    void lakepulse.flush();
    await advance(3_000);
    server.otherwise = {};
    server.batches = [];
    await load();
    await advance(0);
    expect(types().slice(0, 1)).toEqual(['page_view']); // the new page's own first
    expect(types().slice(1).sort()).toEqual(['model_invoked', 'page_view', 'query_executed']);
  });

  it('is bounded, and what does not fit is counted and reported with the next batch', async () => {
    server.otherwise = 'network error';
    const lakepulse = await load({ capacity: 50 });
    for (let i = 0; i < 50; i++) lakepulse.track('query_executed', { metadata: { i } }); // one too many for the queue
    await advance(3_000);
    for (let i = 0; i < 5; i++) lakepulse.track('model_invoked');
    void lakepulse.flush();
    await advance(30_000);
    expect(stored().filter((entry) => entry.parked)).toHaveLength(50);
    server.otherwise = {};
    lakepulse.track('export_triggered');
    server.batches = [];
    await lakepulse.flush();
    expect(server.batches[0]!.dropped).toBe(6);
    expect(server.batches.slice(1).map((batch) => batch.dropped)).toEqual([0]);
    expect(new Set(ids(server.batches)).size).toBe(51);
    expect(stored()).toEqual([]);
  });

  it('reports drops once: what a batch that failed reported is reported again', async () => {
    server.otherwise = 'network error';
    const lakepulse = await load({
      before: (event) => {
        if (event.event_type === 'query_executed') throw new Error('hook');
        return event;
      },
    });
    lakepulse.track('query_executed');
    void lakepulse.flush();
    await advance(3_000);
    server.otherwise = {};
    await drain();
    await drain();
    expect(server.batches.map((batch) => batch.dropped)).toEqual([1, 1, 1, 1]);
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    expect(server.batches.at(-1)!.dropped).toBe(0);
  });

  it('can be forbidden: then events wait in memory', async () => {
    vi.stubGlobal('localStorage', undefined);
    vi.stubGlobal('sessionStorage', undefined);
    server.otherwise = 'network error';
    const lakepulse = await load();
    void lakepulse.flush();
    await advance(3_000);
    server.otherwise = {};
    await drain();
    expect(types().slice(-1)).toEqual(['page_view']);
    expect(new Set(events().map((event) => event.id)).size).toBe(1);
  });

  it('can be full: what is to be parked then is lost, counted and reported, unless a beacon took it', async () => {
    server.otherwise = 'network error';
    const lakepulse = await load();
    local.full = true;
    lakepulse.track('query_executed');
    void lakepulse.flush();
    await advance(3_000);
    lakepulse.track('model_invoked');
    hide();
    hide(false);
    local.full = false;
    server.otherwise = {};
    lakepulse.track('export_triggered');
    await lakepulse.flush();
    expect(server.beacons.map((beacon) => [beacon.events.length, beacon.dropped])).toEqual([[1, 2]]);
    expect(server.batches.at(-1)!.dropped).toBe(0);
  });
});

describe('two tabs', () => {
  it('leave the parked events to whoever holds the lock', async () => {
    const request = vi.fn((_name: string, _options: object, work: (lock: null) => unknown) => Promise.resolve(work(null)));
    vi.spyOn(navigator, 'locks', 'get').mockReturnValue({ request } as unknown as LockManager);
    local.keys['lakepulse:019cae41-0000-7000-8000-000000000000'] = '{"event_type":"parked"}';
    const lakepulse = await load();
    await lakepulse.flush();
    expect(request).toHaveBeenCalledWith('lakepulse', { ifAvailable: true }, expect.any(Function));
    expect(types()).toEqual(['page_view']);
    expect(stored()).toHaveLength(1);
  });

  it('send them under the lock', async () => {
    const request = vi.fn((_name: string, _options: object, work: (lock: object) => unknown) => Promise.resolve(work({})));
    vi.spyOn(navigator, 'locks', 'get').mockReturnValue({ request } as unknown as LockManager);
    local.keys['lakepulse:019cae41-0000-7000-8000-000000000000'] = '{"event_type":"parked"}';
    const lakepulse = await load();
    await lakepulse.flush();
    expect(types()).toEqual(['page_view', 'parked']);
    expect(stored()).toEqual([]);
  });
});
