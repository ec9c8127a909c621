// The system's Chromium: CHROMIUM_PATH, or where distributions put it.

import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'];

export const launch = async (): Promise<Browser> => {
  const executablePath = process.env['CHROMIUM_PATH'] ?? PLACES.find(existsSync);
  if (!executablePath) throw new Error('no Chromium: install it, or set CHROMIUM_PATH');
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
};

/** Closes a tab as a person does: the page is told. */
export const closeTab = async (page: Page): Promise<void> => {
  const closed = page.waitForEvent('close');
  await page.close({ runBeforeUnload: true });
  await closed;
};

/** Waits, for as long as the test has, until `done` says so. */
export const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 50));
};
