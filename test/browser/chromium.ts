import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const USUAL_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A headless browser with a profile of its own. */
export async function startChromium(): Promise<Browser> {
  const named = process.env['BATON_TEST_CHROMIUM'];
  const executablePath = named ?? USUAL_PATHS.find((path) => existsSync(path));
  if (executablePath === undefined || !existsSync(executablePath)) {
    throw new Error(
      `No Chromium ${named === undefined ? 'in any of the usual places' : `at ${named}`}. Install one ` +
        '("apt-get install chromium", "brew install --cask chromium"), or name one with BATON_TEST_CHROMIUM.',
    );
  }
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}
