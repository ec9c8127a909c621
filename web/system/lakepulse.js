// The real binary and the example apps as processes: each on a free port of this machine, each ended with the test.

import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = process.env.LAKEPULSE_BIN ?? join(root, "bin/lakepulse");

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `done` answers something true, and answers with that; says what was missing when it never does. */
export async function until(what, done, seconds = 120) {
  const end = Date.now() + seconds * 1_000;
  for (;;) {
    const answer = await done();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`after ${seconds} s still not: ${what}`);
    await pause(100);
  }
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** What would configure the processes is left out of what they inherit. */
const inherited = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LAKEPULSE_|PG|DATABRICKS_|NATS_|DATABASE_URL$)/.test(name)));

/** What runs now: it ends with this process, however that ends in order. */
const running = new Set();
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

class Process {
  #child;
  #ended;
  #output = "";

  constructor(command, args, environment, cwd = root) {
    Object.assign(this, { command, args, environment, cwd });
  }

  start() {
    this.#child = spawn(this.command, this.args, {
      cwd: this.cwd,
      env: { ...inherited(), ...this.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (data) => (this.#output = (this.#output + data).slice(-20_000)));
    }
    const child = this.#child;
    running.add(child);
    this.#ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve)).then(() => running.delete(child));
  }

  async answers(url) {
    try {
      await until(`${url} answers`, async () => {
        if (this.#child.exitCode !== null) throw new Error(`${this.command} ended with ${this.#child.exitCode}`);
        // Until it listens the connection is refused, which is what is waited out.
        return (await fetch(url).catch(() => undefined))?.ok;
      });
    } catch (error) {
      throw new Error(`${error.message}\n${this.#output}`, { cause: error });
    }
  }

  async end(signal = "SIGTERM") {
    this.#child?.kill(signal);
    await this.#ended;
  }
}

/** A standalone with a data directory of its own. */
export async function startLakepulse() {
  if (!existsSync(binary)) throw new Error(`no ${binary}: run make build, or set LAKEPULSE_BIN`);
  const directory = await mkdtemp(join(tmpdir(), "lakepulse-system-"));
  await chmod(directory, 0o711); // as root the database runs as another user, who must get through
  const origin = `http://127.0.0.1:${await freePort()}`;
  const standalone = new Process(binary, ["standalone", "--listen", new URL(origin).host, "--ops-listen", "none", "--data-dir", directory], {});
  const start = async () => {
    standalone.start();
    await standalone.answers(`${origin}/ready`);
  };
  await start();

  return {
    origin,
    start,
    /** Ends it at whatever instruction it is. */
    kill: () => standalone.end("SIGKILL"),
    async close() {
      await standalone.end();
      await rm(directory, { recursive: true, force: true });
    },
    /** The tracker it serves, as a file for the example apps. */
    async tracker() {
      const response = await fetch(`${origin}/lakepulse.js`);
      if (!response.ok) throw new Error(`/lakepulse.js: ${response.status}: was the dashboard built?`);
      const file = join(directory, "lakepulse.js");
      await writeFile(file, await response.text());
      return process.env.LAKEPULSE_TRACKER ?? file;
    },
    /** A new API key, made as an operator makes it. */
    async key(app) {
      const made = spawnSync(binary, ["keys", "create", "--app", app, "--data-dir", directory], { env: inherited(), encoding: "utf8" });
      if (made.status !== 0) throw new Error(made.stderr);
      return made.stdout.trim();
    },
    /** All rows of an app, as they are stored; kind is `usage` or `performance`. */
    async rows(kind, app) {
      const response = await fetch(`${origin}/api/v1/metrics/export?kind=${kind}&format=ndjson&app=${app}`);
      if (response.status === 404) return []; // nothing of such an app was ever stored
      if (!response.ok) throw new Error(`export: ${response.status} ${await response.text()}`);
      return (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
    },
  };
}

/** Builds a Go example once, into a directory that goes with the test process. */
export async function buildExample(name) {
  const directory = await mkdtemp(join(tmpdir(), "lakepulse-example-"));
  const program = join(directory, name);
  const built = spawnSync("go", ["build", "-o", program, `./examples/${name}`], { cwd: root, encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
  return { program, remove: () => rm(directory, { recursive: true, force: true }) };
}

/** Starts an app on a port of its own; `command` gets the port. */
export async function startApp(command, environment) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const [program, ...args] = command(port);
  const app = new Process(program, args, { LISTEN: `127.0.0.1:${port}`, ...environment });
  app.start();
  await app.answers(origin);
  return { origin, close: () => app.end() };
}

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

export function startBrowser() {
  const executablePath = process.env.CHROMIUM_PATH ?? places.find(existsSync);
  if (!executablePath) throw new Error("no Chromium: install it, or set CHROMIUM_PATH");
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}
