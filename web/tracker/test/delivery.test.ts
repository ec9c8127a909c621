import { describe, expect, it, vi } from 'vitest';
import { console_, drain, events, expectSilence, load, server, stored, types } from './harness.js';

const advance = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('batching', () => {
  it('sends a small batch after ten seconds, once', async () => {
    const lakepulse = await load();
    lakepulse.track('query_executed');
    await advance(9_999);
    expect(server.batches).toHaveLength(0);
    await advance(1);
    expect(server.batches).toHaveLength(1);
    expect(types()).toEqual(['page_view', 'query_executed']);
    await advance(60_000);
    expect(server.batches).toHaveLength(1);
    expectSilence();
  });

  it('sends at once when twenty events wait', async () => {
    const lakepulse = await load();
    for (let i = 0; i < 19; i++) lakepulse.track('query_executed');
    await advance(0);
    expect(events()).toHaveLength(20);
  });

  it('starts the timer again after each flush', async () => {
    const lakepulse = await load();
    await advance(9_000);
    await lakepulse.flush();
    lakepulse.track('query_executed');
    await advance(9_999);
    expect(server.batches).toHaveLength(1);
    await advance(1);
    expect(server.batches).toHaveLength(2);
  });

  it('sends nothing when nothing happened', async () => {
    const lakepulse = await load();
    await lakepulse.flush();
    await lakepulse.flush();
    expect(server.batches).toHaveLength(1);
  });

  it('sends what came while a batch was on its way', async () => {
    const lakepulse = await load();
    const flushed = lakepulse.flush();
    lakepulse.track('model_invoked');
    await flushed;
    lakepulse.track('export_triggered');
    await lakepulse.flush();
    expect(types()).toEqual(['page_view', 'model_invoked', 'export_triggered']);
  });

  it('posts to the endpoint it is given', async () => {
    await load({ endpoint: 'https://metrics.example' });
    await drain();
    expect(server.batches[0]!.url).toBe('https://metrics.example/api/v1/metrics/usage-events');
  });

  it('splits bodies under 60 kB by bytes, not characters', async () => {
    const lakepulse = await load({ batch: 1000 });
    for (let i = 0; i < 40; i++) lakepulse.track('query_executed', { metadata: { text: 'ü'.repeat(2_000) } });
    await lakepulse.flush();
    expect(server.batches.length).toBeGreaterThan(2);
    for (const batch of server.batches) expect(new Blob([JSON.stringify(batch)]).size).toBeLessThan(60_000);
    expect(new Set(events().map((event) => event.id)).size).toBe(41);
  });

  it('sends an event too large for any batch alone', async () => {
    const lakepulse = await load();
    lakepulse.track('query_executed', { metadata: { text: 'x'.repeat(70_000) } });
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    expect(server.batches.some((batch) => batch.events.length === 1 && batch.events[0]!.event_type === 'query_executed')).toBe(true);
    expect(types().sort()).toEqual(['model_invoked', 'page_view', 'query_executed']);
  });
});

describe('retries', () => {
  it.each([503, 500, 408, 429, 200, 302])('tries a batch answered %i again after 1 s and 2 s, three times in all', async (status) => {
    server.otherwise = { status };
    const lakepulse = await load();
    void lakepulse.flush();
    await advance(0);
    expect(server.batches).toHaveLength(1);
    await advance(999);
    expect(server.batches).toHaveLength(1);
    await advance(1);
    expect(server.batches).toHaveLength(2);
    await advance(1_999);
    expect(server.batches).toHaveLength(2);
    await advance(1);
    expect(server.batches).toHaveLength(3);
    await advance(9_000);
    expect(server.batches).toHaveLength(3);
  });

  it('carries the same ids and timestamps each time', async () => {
    server.answers = ['network error', { status: 503 }];
    const lakepulse = await load();
    lakepulse.track('query_executed');
    void lakepulse.flush();
    await advance(3_000);
    expect(server.batches).toHaveLength(3);
    expect(server.batches[1]!.events).toEqual(server.batches[0]!.events);
    expect(server.batches[2]!.events).toEqual(server.batches[0]!.events);
    expect(stored()).toEqual([]);
    expectSilence();
  });

  it('says in the console that it gave up for now, and parks the batch', async () => {
    server.otherwise = 'network error';
    const lakepulse = await load();
    void lakepulse.flush();
    await advance(3_000);
    expect(console_.error).toHaveBeenCalledTimes(1);
    expect(console_.error.mock.calls[0]).toEqual(['lakepulse', ['not sent', expect.any(TypeError)]]);
    expect(stored().map((entry) => entry.parked)).toEqual([true]);
  });

  it('rests for longer and longer while nobody answers, and says so once', async () => {
    server.otherwise = 'network error';
    await load();
    await advance(10 * 3_600_000);
    expect(console_.error).toHaveBeenCalledTimes(1);
    expect(server.batches.length).toBeGreaterThan(3 * 100); // three attempts each, every five minutes at the least
    expect(server.batches.length).toBeLessThan(3 * 270); // and every two and a half at the most
    server.otherwise = {};
    await advance(300_000);
    expect(stored()).toEqual([]);
  });

  it('tries the parked batch again with the next flush', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    server.otherwise = 'network error';
    const lakepulse = await load();
    void lakepulse.flush();
    await advance(3_000);
    server.otherwise = {};
    const before = server.batches.length;
    await advance(9_999);
    expect(server.batches).toHaveLength(before);
    await advance(1);
    expect(server.batches).toHaveLength(before + 1);
    expect(stored()).toEqual([]);
  });

  it('gives up an attempt that gets no answer', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout');
    await load();
    await drain();
    expect(timeout).toHaveBeenCalledWith(15_000);
  });
});

describe('refusals', () => {
  it.each([400, 401, 403, 404, 413])('does not repeat a batch answered %i', async (status) => {
    server.answers = [{ status, body: 'no JSON' }];
    const lakepulse = await load();
    await lakepulse.flush();
    await advance(60_000);
    expect(server.batches).toHaveLength(1);
    expect(stored()).toEqual([]);
    expect(console_.error).toHaveBeenCalledTimes(1);
  });

  it('tells the server of events that were refused by who never looked at them', async () => {
    server.answers = [{ status: 401, body: 'sign in' }];
    const lakepulse = await load();
    lakepulse.track('query_executed');
    await lakepulse.flush();
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    expect(server.batches.map((batch) => batch.dropped)).toEqual([0, 2]);
  });

  it('keeps the refusal of one event from the rest', async () => {
    const rejected = [{ index: 1, field: 'event_type', reason: 'is no name' }];
    server.answers = [{ body: { events_received: 2, rejected } }];
    const lakepulse = await load();
    lakepulse.track('Not A Name');
    lakepulse.track('model_invoked');
    await lakepulse.flush();
    lakepulse.track('export_triggered');
    await lakepulse.flush();
    expect(console_.error.mock.calls).toEqual([['lakepulse', [202, rejected]]]);
    expect(server.batches).toHaveLength(2);
    expect(server.batches[1]!.dropped).toBe(0); // the server knows
    expect(stored()).toEqual([]);
  });
});
