import { describe, expect, it, vi } from 'vitest';
import { drain, events, leavePage, load, server, START, tab } from './harness.js';

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const skewed = (minutes: number) => vi.setSystemTime(START + minutes * 60_000);

describe('ids', () => {
  it('are UUIDv7 of the time they were made at', async () => {
    await load();
    await drain();
    const [event] = events();
    expect(event!.id).toMatch(V7);
    expect(event!.session_id).toMatch(V7);
    expect(parseInt(event!.id.slice(0, 8) + event!.id.slice(9, 13), 16)).toBe(START);
    expect(event!.timestamp).toBe(new Date(START).toISOString());
  });

  it('are unique and in order, also many in one millisecond', async () => {
    const lakepulse = await load({ capacity: 10_000, batch: 10_000 });
    for (let i = 0; i < 5_000; i++) lakepulse.track('query_executed');
    await lakepulse.flush();
    const ids = events().map((event) => event.id);
    expect(ids).toHaveLength(5_001);
    expect(new Set(ids).size).toBe(5_001);
    expect(ids).toEqual([...ids].sort());
  }, 30_000);

  it('keep their order when the clock is set back a little, and follow it when far', async () => {
    const lakepulse = await load();
    vi.setSystemTime(START - 900);
    lakepulse.track('query_executed');
    vi.setSystemTime(START - 3_600_000);
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    const [first, second, third] = events();
    expect(second!.id > first!.id).toBe(true);
    expect(second!.timestamp).toBe(first!.timestamp);
    expect(third!.timestamp).toBe(new Date(START - 3_600_000).toISOString());
  });
});

describe('seq', () => {
  it('counts the events of the tab from one, over its reloads', async () => {
    const first = await load();
    first.track('query_executed');
    leavePage();
    await load();
    leavePage();
    await load();
    await drain();
    const all = [...server.beacons.flatMap((beacon) => beacon.events), ...events()];
    const seqs = new Map(all.map((event) => [event.seq, event.id]));
    expect([...seqs.keys()].sort()).toEqual([1, 2, 3, 4]);
    expect(new Set(all.map((event) => event.session_id)).size).toBe(1);
  });

  it('goes on when the page comes back from the back/forward cache', async () => {
    await load();
    leavePage();
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await drain();
    expect(new Map(events().map((event) => [event.seq, event.event_type]))).toEqual(new Map([[1, 'page_view'], [2, 'page_view']]));
    expect(Object.keys(tab.keys)).toEqual([]);
  });

  it('counts events that a page makes after it was left', async () => {
    const lakepulse = await load();
    leavePage();
    lakepulse.track('query_executed');
    await load();
    await drain();
    expect(events().map((event) => event.seq)).toEqual([3, 1]); // 2 waits until its page is known to be dead
  });

  it('is not shared by a duplicated tab', async () => {
    await load();
    expect(Object.keys(tab.keys)).toEqual([]); // what a duplicate would get a copy of
    await load();
    await drain();
    await vi.advanceTimersByTimeAsync(120_000);
    const lakepulse = await load();
    await lakepulse.flush();
    expect(new Set(events().map((event) => event.session_id)).size).toBe(3);
    expect(events().every((event) => event.seq === 1)).toBe(true);
  });

  it('has a gap for an event that was lost, and none for one that was dropped on purpose', async () => {
    const lakepulse = await load({
      before: (event) => {
        if (event.event_type === 'model_invoked') throw new Error('hook');
        return event.event_type === 'file_uploaded' ? null : event;
      },
    });
    lakepulse.track('file_uploaded');
    lakepulse.track('model_invoked');
    lakepulse.track('query_executed');
    await lakepulse.flush();
    expect(events().map((event) => event.seq)).toEqual([1, 3]);
    expect(server.batches[0]!.dropped).toBe(1);
  });
});

describe('the clock', () => {
  const strict = (sent: { id: string; timestamp: string }[]) => {
    const rejected = sent.flatMap((event, index) => {
      const error = Date.parse(event.timestamp) - START;
      return error > 300_000 || error < -7 * 86_400_000 ? [{ index, id: event.id, field: 'timestamp', reason: 'is off' }] : [];
    });
    return {
      status: rejected.length === sent.length ? 400 : 202,
      body: { server_time: new Date(START).toISOString(), ...(rejected.length && { rejected }) },
    };
  };

  it.each([['ahead', 60], ['far behind', -20 * 24 * 60]])('is corrected when it is %s: refused events come again, once, under the same id', async (_, minutes) => {
    server.otherwise = strict;
    skewed(minutes);
    const lakepulse = await load();
    lakepulse.track('query_executed');
    await lakepulse.flush();
    expect(server.batches).toHaveLength(2);
    const [before, after] = server.batches.map((batch) => batch.events);
    expect(after!.map((event) => event.id)).toEqual(before!.map((event) => event.id));
    for (const event of after!) expect(Math.abs(Date.parse(event.timestamp) - START)).toBeLessThan(1_000);
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    expect(server.batches).toHaveLength(3);
    expect(Math.abs(Date.parse(events().at(-1)!.timestamp) - START)).toBeLessThan(1_000);
  });

  it('is corrected for the tab’s next page too', async () => {
    server.otherwise = strict;
    skewed(60);
    const lakepulse = await load();
    await lakepulse.flush();
    leavePage();
    await load();
    await drain();
    expect(server.batches).toHaveLength(3);
  });

  it('puts right what another batch’s answer showed to be wrong', async () => {
    skewed(60);
    const lakepulse = await load({ batch: 1000 });
    server.otherwise = strict;
    for (let i = 0; i < 40; i++) lakepulse.track('query_executed', { metadata: { text: 'x'.repeat(3_000) } });
    await lakepulse.flush();
    const last = new Map(events().map((event) => [event.id, event.timestamp]));
    expect(last.size).toBe(41);
    for (const timestamp of last.values()) expect(Math.abs(Date.parse(timestamp) - START)).toBeLessThan(1_000);
  });

  it('never changes a timestamp that was not refused', async () => {
    server.answers = ['network error', { body: { server_time: new Date(START - 3_600_000).toISOString() } }];
    const lakepulse = await load();
    void lakepulse.flush();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(new Set(events().map((event) => event.timestamp)).size).toBe(1);
  });

  it('is left alone within five seconds', async () => {
    server.otherwise = { body: { server_time: new Date(START + 4_000).toISOString() } };
    const lakepulse = await load();
    await lakepulse.flush();
    lakepulse.track('query_executed');
    await lakepulse.flush();
    expect(events().at(-1)!.timestamp).toBe(new Date(START).toISOString());
  });

  it('gives up an event that is too old by any clock', async () => {
    server.otherwise = (sent) => ({ body: { rejected: [{ index: sent.length - 1, field: 'timestamp', reason: 'too old' }] } });
    const lakepulse = await load();
    await lakepulse.flush();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.batches).toHaveLength(1);
  });
});
