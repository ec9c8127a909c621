// Fails the build when the JavaScript of the first load grows past its bound: the page must be interactive
// before the charts arrive, also over a slow line.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const boundKilobytes = 200;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

const gzipped = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length / 1000;

/** The entry and everything it imports statically: what the browser fetches before anything runs. */
function firstLoad(key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const imported of manifest[key].imports ?? []) firstLoad(imported, seen);
  return seen;
}

const first = firstLoad("index.html");
const scripts = [...first].map((key) => manifest[key].file).filter((file) => file.endsWith(".js"));
const total = [...scripts, "theme.js"].reduce((sum, file) => sum + gzipped(file), 0);

for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.file.endsWith(".js")) continue;
  console.log(`${gzipped(chunk.file).toFixed(1).padStart(8)} kB  ${first.has(key) ? "first" : "later"}  ${chunk.file}`);
}
console.log(`first load: ${total.toFixed(1)} kB gzip of JavaScript, bound ${boundKilobytes} kB`);
if (total > boundKilobytes) {
  console.error("The first load is too large: split something out of it.");
  process.exit(1);
}
