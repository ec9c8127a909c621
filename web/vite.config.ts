import { fileURLToPath } from "node:url";

import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: {
    alias: {
      "@": here("./src"),
      "@lakepulse/tracker": here("./tracker/src/index.ts"),
    },
  },
  build: {
    target: "es2022",
    // The strict Content-Security-Policy allows no data: fonts and no inline modules.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      "/api": process.env.LAKEPULSE_URL ?? "http://127.0.0.1:8080",
      "/health": process.env.LAKEPULSE_URL ?? "http://127.0.0.1:8080",
    },
  },
});
