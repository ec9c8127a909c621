import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { startMock } from "./mock/server.ts";

export interface Target {
  readonly url: string;
  readonly close: () => Promise<void>;
}

const binary = fileURLToPath(new URL("../../bin/lakepulse", import.meta.url));

/**
 * What the tests look at: LAKEPULSE_URL where that names a running installation; else the built binary, filled with
 * demo history; else, or with LAKEPULSE_URL=mock, a mock of the API.
 */
export async function startTarget(): Promise<Target> {
  const url = process.env.LAKEPULSE_URL ?? "";
  if (url === "mock" || (url === "" && !existsSync(binary))) return startMock();
  if (url !== "") return { url: url.replace(/\/$/, ""), close: async () => {} };
  return startBinary();
}

async function startBinary(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "lakepulse-e2e-"));
  // As root the embedded Postgres runs as another user, who must be able to reach its files.
  await chmod(folder, 0o755);
  const listen = `127.0.0.1:${await freePort()}`;
  const server = spawn(binary, ["standalone", "--listen", listen, "--ops-listen", "none", "--data-dir", folder], { stdio: ["ignore", "ignore", "pipe"] });
  const log: string[] = [];
  server.stderr.on("data", (chunk: Buffer) => log.push(chunk.toString()));
  const close = async () => {
    if (server.exitCode === null) {
      server.kill("SIGTERM");
      await once(server, "exit");
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await ready(`http://${listen}/ready`, server);
    await fill(folder);
  } catch (cause) {
    await close();
    throw new Error(`the server did not come up:\n${log.slice(-20).join("")}`, { cause });
  }
  return { url: `http://${listen}`, close };
}

async function ready(address: string, server: ChildProcess): Promise<void> {
  for (const until = Date.now() + 90_000; Date.now() < until; await pause(100)) {
    if (server.exitCode !== null) throw new Error(`exit code ${server.exitCode}`);
    const answer = await fetch(address).catch(() => null);
    if (answer?.ok === true) return;
  }
  throw new Error("not ready after 90 s");
}

async function fill(folder: string): Promise<void> {
  const demo = spawn(binary, ["demo", "--data-dir", folder, "--days", "90", "--requests-per-day", "2000"], { stdio: ["ignore", "pipe", "pipe"] });
  const output: string[] = [];
  for (const stream of [demo.stdout, demo.stderr]) stream.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  const [code] = (await once(demo, "exit")) as [number | null];
  if (code !== 0) throw new Error(`demo ended with ${code}: ${output.slice(-5).join("")}`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
