import { startMock } from "./mock/server.ts";

/** What the tests look at: the real binary where LAKEPULSE_URL says one runs, else the mock of the API. */
export interface Target {
  readonly url: string;
  readonly close: () => Promise<void>;
}

export async function startTarget(): Promise<Target> {
  const url = process.env.LAKEPULSE_URL;
  if (url === undefined || url === "") return startMock();
  return { url: url.replace(/\/$/, ""), close: async () => {} };
}
