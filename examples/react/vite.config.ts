import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // An app of its own installs the package; in this checkout the tracker is next door.
  resolve: { alias: { "@lakepulse/tracker": fileURLToPath(new URL("../../web/tracker/src/index.ts", import.meta.url)) } },
  // With `npm run dev` the page comes from Vite, and what it asks for from the Go server beside it.
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
