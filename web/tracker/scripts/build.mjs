// Builds dist/lakepulse.js (plain script) and dist/index.js (ESM), and fails when the plain script is over its bar.
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const LIMIT = 3000;
const root = fileURLToPath(new URL('..', import.meta.url));
const shared = { absWorkingDir: root, bundle: true, target: 'es2021', legalComments: 'none', logLevel: 'warning' };

rmSync(`${root}/dist`, { recursive: true, force: true });
await build({ ...shared, entryPoints: ['src/plain.ts'], outfile: 'dist/lakepulse.js', format: 'iife', minify: true });
await build({ ...shared, entryPoints: ['src/index.ts'], outfile: 'dist/index.js', format: 'esm', sourcemap: true });

const script = readFileSync(`${root}/dist/lakepulse.js`);
const size = gzipSync(script, { level: 9 }).length;
console.log(`dist/lakepulse.js: ${script.length} bytes, ${size} gzip (bar: ${LIMIT})`);
if (size > LIMIT) {
  console.error(`over the bar by ${size - LIMIT} bytes`);
  process.exit(1);
}
