// Builds dist/lakepulse.js (plain script) and dist/index.js (ESM), and fails when the plain script is over its bar.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const LIMIT = 3379; // 3.3 KiB
const root = fileURLToPath(new URL('..', import.meta.url));
const shared = { absWorkingDir: root, bundle: true, target: 'es2021', legalComments: 'none', logLevel: 'warning' };

rmSync(`${root}/dist`, { recursive: true, force: true });
await build({ ...shared, entryPoints: ['src/index.ts'], outfile: 'dist/index.js', format: 'esm' });

// esbuild alone leaves every single-use function in place; terser folds them. 1 for true is safe as long as no code
// compares with `=== true` and no literal goes into JSON.
const plain = await build({ ...shared, entryPoints: ['src/plain.ts'], format: 'esm', write: false });
const { code } = await minify(`(()=>{${plain.outputFiles[0].text}})()`, {
  ecma: 2020,
  compress: { passes: 4, unsafe_arrows: true, unsafe_methods: true, keep_fargs: false, booleans_as_integers: true },
});
// One keyword for two: gzip has less to say.
writeFileSync(`${root}/dist/lakepulse.js`, `${code.replace(/\bconst\b/g, 'let')}\n`);

const size = gzipSync(readFileSync(`${root}/dist/lakepulse.js`), { level: 9 }).length;
console.log(`dist/lakepulse.js: ${code.length} bytes, ${size} gzip (bar: ${LIMIT})`);
if (size > LIMIT) {
  console.error(`over the bar by ${size - LIMIT} bytes`);
  process.exit(1);
}
