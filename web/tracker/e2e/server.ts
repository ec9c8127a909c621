// Stands in for an app with a relay: the pages, an API of its own, and ingest with its once-only rule. It can be down (it
// drops connections, or answers 503) and it can lose an answer after it stored the batch.

import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { UsageEvent } from '../src/types.js';

export type Mood = 'up' | 'down' | 'unavailable' | 'forgetful';

export interface ApiCall {
  url: URL;
  interaction: string | undefined;
  session: string | undefined;
}

export interface FakeServer {
  origin: string;
  mood: Mood;
  /** What the once-only rule let through. */
  stored: Map<string, UsageEvent>;
  /** How often each id was accepted with an answer that was sent, by fetch and by beacon. */
  answered: Map<string, { fetch: number; beacon: number }>;
  dropped: number;
  calls: ApiCall[];
  /** Pages by path; everything else is the page at `/`. */
  pages: Record<string, string>;
  close(): Promise<void>;
}

const script = readFileSync(new URL('../dist/lakepulse.js', import.meta.url));

const read = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
};

const reply = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
};

const ingest = async (server: FakeServer, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const body = await read(request);
  if (server.mood === 'down') return void request.socket.destroy();
  if (server.mood === 'unavailable') return reply(response, 503, { status_code: 503 });
  const batch = JSON.parse(body) as { events: UsageEvent[]; dropped: number };
  for (const event of batch.events) if (!server.stored.has(event.id)) server.stored.set(event.id, event);
  if (server.mood === 'forgetful') return void request.socket.destroy();
  server.dropped += batch.dropped;
  const by = request.headers['sec-fetch-mode'] === 'no-cors' ? 'beacon' : 'fetch';
  for (const { id } of batch.events) {
    const times = server.answered.get(id) ?? { fetch: 0, beacon: 0 };
    times[by]++;
    server.answered.set(id, times);
  }
  reply(response, 202, { events_received: batch.events.length, server_time: new Date().toISOString() });
};

const count = (server: FakeServer, url: URL, response: ServerResponse): void => {
  const session = url.searchParams.get('session_id');
  const start = url.searchParams.get('start')!;
  const end = url.searchParams.get('end')!;
  const own = [...server.stored.values()].filter(
    (event) => event.session_id === session && event.timestamp >= start && event.timestamp <= end,
  );
  reply(response, 200, { count: own.length });
};

export const startServer = async (pages: Record<string, string>): Promise<FakeServer> => {
  const http = createServer((request, response) => {
    const url = new URL(request.url!, server.origin);
    if (url.pathname === '/api/v1/metrics/usage-events') return void ingest(server, request, response);
    if (url.pathname === '/api/v1/metrics/usage/count') return count(server, url, response);
    if (url.pathname === '/lakepulse.js')
      return void response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
    if (url.pathname.startsWith('/api/')) {
      const header = (name: string) => request.headers[name] as string | undefined;
      server.calls.push({ url, interaction: header('x-lakepulse-interaction-id'), session: header('x-lakepulse-session-id') });
      return void setTimeout(() => reply(response, 200, {}), Number(url.searchParams.get('delay') ?? 0));
    }
    const page = server.pages[url.pathname] ?? server.pages['/']!;
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<!doctype html><meta charset="utf-8"><body>${page}`);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: FakeServer = {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    mood: 'up',
    stored: new Map(),
    answered: new Map(),
    dropped: 0,
    calls: [],
    pages,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
};
