// The plain script: the global `lakepulse`, started by its own tag unless that says `data-manual="true"`. Every option
// but the functions is an attribute: `data-app-version="1.2"`, `data-batch="50"`, `data-link="/api/"`.

import { flush, init, optIn, optOut, page, reconcile, track } from './index.js';

(window as { lakepulse?: unknown }).lakepulse = { init, track, page, flush, reconcile, optOut, optIn };

// Texts will do: numbers are only ever compared, added to nothing, and given to the browser.
const options = document.currentScript?.dataset;
if (options && !options.manual) init(options);
