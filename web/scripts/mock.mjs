// Serves the built dashboard over the mock of the API, for work on the dashboard without the server.
import { createServer } from "vite";

const loader = await createServer({ server: { middlewareMode: true }, appType: "custom", logLevel: "error" });
const { startMock } = await loader.ssrLoadModule("/e2e/mock/server.ts");
const mock = await startMock();
console.log(mock.url);
const stop = async () => {
  await mock.close();
  await loader.close();
};
process.once("SIGINT", stop).once("SIGTERM", stop);
