import type { TestProject } from "vitest/node";

import { startTarget } from "./target.ts";

declare module "vitest" {
  export interface ProvidedContext {
    readonly url: string;
  }
}

/** One target for all files: filling an installation with history takes longer than any test. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const target = await startTarget();
  project.provide("url", target.url);
  return target.close;
}
