import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["e2e/**/*.e2e.ts"],
    environment: "node",
    globalSetup: ["e2e/global.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A browser on a machine that is busy elsewhere; what is wrong fails twice.
    retry: 1,
    // One browser at a time: the machines that run this have two cores.
    fileParallelism: false,
  },
});
