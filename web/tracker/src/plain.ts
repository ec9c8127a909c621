// The plain script: the global `lakepulse`, started by its own tag unless that says `data-auto="false"`. Every option is
// an attribute: `data-app-version="1.2"`, `data-batch-size="50"`, `data-retry-delays="[500, 1000]"`.

import { flush, init, optIn, optOut, page, reconcile, track } from './index.js';
import type { Options } from './types.js';

const options: Record<string, unknown> = {};
const attributes = document.currentScript?.dataset;
for (const name in attributes) {
  try {
    options[name] = JSON.parse(attributes[name]!);
  } catch {
    options[name] = attributes[name]; // a word, not a number
  }
}

(window as { lakepulse?: unknown }).lakepulse = { init, track, page, flush, reconcile, optOut, optIn };
if (attributes && options.auto !== false) init(options as Options);
