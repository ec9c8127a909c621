import { defineConfig } from 'vitest/config';

// A real browser against a server of our own; `npm run e2e` builds first, for the pages load dist/lakepulse.js.
export default defineConfig({
  test: { include: ['e2e/**/*.e2e.ts'], fileParallelism: false, testTimeout: 300_000, hookTimeout: 60_000, retry: 1 },
});
