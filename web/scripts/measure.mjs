// How long until every number of the main page is on screen, as the browser sees it:
//   node scripts/measure.mjs http://127.0.0.1:8080 '/?range=90d' 7
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

const [url = "http://127.0.0.1:8080", address = "/?range=90d", rounds = "7"] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM_PATH ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((place) => existsSync(place));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });

async function load() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(url + address, { waitUntil: "commit" });
  const milliseconds = await page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const waiting = () => document.querySelector("main [role=status], main [aria-busy=true]") !== null;
    const drawn = () => document.querySelectorAll("main .recharts-surface").length >= 3;
    while (document.querySelector("main h1") === null || waiting() || !drawn()) await frame();
    await frame();
    return performance.now();
  });
  await context.close();
  return milliseconds;
}

const times = [];
for (let round = 0; round < Number(rounds); round += 1) times.push(await load());
times.sort((a, b) => a - b);
const shown = (value) => `${Math.round(value)} ms`;
console.log(`${address}: median ${shown(times[Math.floor(times.length / 2)])}, min ${shown(times[0])}, max ${shown(times.at(-1))} of ${times.length} loads`);
await browser.close();
