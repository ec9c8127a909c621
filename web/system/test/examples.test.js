// Each example app with a key of its own: the page on the app's origin, events through its relay.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { buildExample, root, startApp, startBrowser, startLakepulse, until } from "../lakepulse.js";

const runs = (command, ...args) => spawnSync(command, args, { cwd: root }).status === 0;
const python = [process.env.PYTHON, "python3", "/usr/bin/python3"].find((name) => name && runs(name, "-c", "import fastapi, uvicorn"));

const examples = [
  { name: "go", button: "open-order", endpoint: "/api/orders/{order}" },
  { name: "react", button: "open-order", endpoint: "/api/orders/{order}" },
  ...(python ? [{ name: "fastapi", button: "open-order", endpoint: "/api/orders/{order_id}" }] : []),
];
if (!python) console.log("examples/fastapi is left out: no Python has fastapi and uvicorn");

const resources = [];
let lakepulse, browser;
before(async () => {
  lakepulse = await startLakepulse();
  resources.unshift(lakepulse.close);
  browser = await startBrowser();
  resources.unshift(() => browser.close());
});
after(async () => {
  for (const release of resources) await release();
});

const start = async (name, environment) => {
  if (name === "fastapi") {
    return startApp((port) => [join(root, "examples/fastapi/run"), String(port)], { PYTHON: python, ...environment });
  }
  const { program, remove } = await buildExample(name);
  resources.unshift(remove);
  return startApp(() => [program], environment);
};

for (const { name, button, endpoint } of examples) {
  test(`examples/${name}: events and the count question reach the collector as the signed-in user`, async () => {
    const app = `shop-${name}`;
    const { origin, close } = await start(name, {
      LAKEPULSE_URL: lakepulse.origin,
      LAKEPULSE_API_KEY: await lakepulse.key(app),
      LAKEPULSE_APP: app,
      DATABRICKS_APP_NAME: app, // forwarded identities are believed where the platform's proxy makes them
      LAKEPULSE_TRACKER: await lakepulse.tracker(),
    });
    resources.unshift(close);
    // The proxy of Databricks Apps adds these to what a signed-in browser sends.
    const signedIn = await browser.newContext({ extraHTTPHeaders: { "X-Forwarded-Email": "ada@example.com", "X-Forwarded-User": "1" } });
    const page = await signedIn.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await page.goto(origin);
    const answered = page.waitForResponse((response) => response.url().includes("/api/orders/2"));
    await page.click(`[data-track-id=${button}]`);
    assert.equal((await answered).status(), 200);

    // Somebody who writes their own batch: another user, another app.
    const spoofed = await page.evaluate(async () => {
      const response = await fetch("/api/v1/metrics/usage-events", {
        method: "POST",
        body: JSON.stringify({
          events: [{ event_type: "spoofed", timestamp: new Date().toISOString(), user_id: "root@example.com", User_ID: "root@example.com", app: "other" }],
        }),
      });
      return response.status;
    });
    assert.equal(spoofed, 202);

    // The page's own button asks for the account; clicking it is an event as well.
    const account = await until("the account to be settled", async () => {
      await page.click("[data-track-id=reconcile]");
      const text = page.locator("output");
      await page.waitForFunction(() => document.querySelector("output").textContent.startsWith('{"created"'));
      const found = JSON.parse(await text.textContent());
      return found.pending === 0 && found.missing === 0 && found.stored >= 3 && found;
    });
    assert.equal(account.created, account.stored);
    assert.equal(account.dropped, 0);

    const events = await lakepulse.rows("usage", app);
    assert.deepEqual([...new Set(events.map((row) => row.user_id))], ["ada@example.com"]);
    assert.equal(events.filter((row) => row.event_type === "spoofed").length, 1);
    assert.deepEqual(await lakepulse.rows("usage", "other"), []);
    const click = events.find((row) => row.element_id === button);
    assert.equal(click.event_type, "button_click");
    assert.equal(new Set(events.map((row) => row.id)).size, events.length);

    const caused = await until("the request to be stored", async () =>
      (await lakepulse.rows("performance", app)).find((row) => row.interaction_id === click.interaction_id));
    assert.deepEqual([caused.endpoint, caused.method, caused.status_code, caused.user_id], [endpoint, "GET", 200, "ada@example.com"]);

    const nobody = await fetch(`${origin}/api/v1/metrics/usage-events`, { method: "POST", body: '{"events":[]}' });
    assert.equal(nobody.status, 401, "with a key nobody is taken for a developer");
    await signedIn.close();
    assert.deepEqual(complaints, []);
  });
}
