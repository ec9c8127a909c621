import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { asked } from "./answers.ts";
import { answers } from "./api.ts";
import { makeWorld } from "./world.ts";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** The policy the real server sends: a dashboard that needs more than this is broken in production. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export interface Mock {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** The built dashboard over an API made of a `World`, on loopback. */
export async function startMock(now = new Date()): Promise<Mock> {
  const world = makeWorld(now);
  const server = createServer((request, response) => {
    void answer(request, response).catch((cause: unknown) => {
      console.error(cause);
      response.writeHead(500).end();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    if (request.method === "POST") return accept(request, response);
    const found = answers[url.pathname];
    if (found === undefined) return file(url.pathname, response);
    json(response, 200, found(asked(url.searchParams, world.now), world));
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => stop(server) };
}

async function accept(request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume();
  await once(request, "end");
  json(response, 202, { message: "Events accepted", events_received: 1, status: "processing", server_time: new Date().toISOString() });
}

async function file(path: string, response: ServerResponse): Promise<void> {
  const name = path === "/" ? "index.html" : normalize(path);
  try {
    const body = await readFile(join(dist, name));
    const type = contentTypes[extname(name)] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": policy }).end(body);
  } catch {
    json(response, 404, { error: "not_found", message: "There is no such page", status_code: 404 });
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json", "X-Correlation-ID": "mock" }).end(JSON.stringify(body));
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve, reject) => server.close((cause) => (cause === undefined ? resolve() : reject(cause))));
}
