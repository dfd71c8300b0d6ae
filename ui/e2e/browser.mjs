// The shared part of the browser tests: one Chromium, a page that fails the test when its console has an error, screenshots.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const BASE = (process.env.BASE_URL ?? 'http://127.0.0.1:7070').replace(/\/$/, '');
const IMAGES = process.env.IMAGES_DIR ?? fileURLToPath(new URL('../../docs/images/', import.meta.url));
const SIZE = { width: 1440, height: 900 };
/** How long a page may take to show what is expected; a busy machine may need more. */
const WAIT_MS = Number(process.env.WAIT_MS ?? 15_000);

function executable() {
  const found = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    (path) => path && existsSync(path),
  );
  assert.ok(found, 'no Chromium: install it (apt-get install chromium), or name one in CHROMIUM');
  return found;
}

export function launch() {
  return chromium.launch({
    executablePath: executable(),
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Runs `steps` in a fresh page. Whatever the console reports as an error fails the test, unless the test expects it. */
export async function inPage(browser, steps, { scheme = 'light', size = SIZE, expected = [] } = {}) {
  const context = await browser.newContext({
    viewport: size,
    colorScheme: scheme,
    baseURL: BASE,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const errors = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  const foreign = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(BASE) && !/^(data|blob):/.test(request.url())) foreign.push(request.url());
  });
  try {
    await steps(page);
  } finally {
    await context.close();
  }
  const unexpected = errors.filter((error) => !expected.some((pattern) => pattern.test(error)));
  assert.deepEqual(unexpected, [], 'the console shows errors');
  assert.deepEqual(foreign, [], 'the page asks other servers than its own');
}

/** The text of the first match, once it satisfies `wanted`. */
export async function textThat(locator, wanted, what) {
  const deadline = Date.now() + WAIT_MS;
  let text = '';
  while (Date.now() < deadline) {
    text = (await locator.count()) ? await locator.first().innerText() : '';
    if (wanted.test(text)) return text;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail(`${what}: wanted ${wanted}, the page says ${JSON.stringify(text.slice(0, 300))}`);
}

/** Waits until nothing on the page is loading, then writes `docs/images/<name>.png`. */
export async function picture(page, name) {
  await page.waitForFunction(
    () => !document.querySelector('[role="status"][aria-label="Loading"], [aria-busy="true"]'),
  );
  await page.evaluate(() => document.fonts.ready);
  mkdirSync(IMAGES, { recursive: true });
  await page.screenshot({ path: `${IMAGES.replace(/\/?$/, '/')}${name}.png` });
}

/** How many different colours a canvas shows: one that is drawn on has several, an empty one has one or two. */
export async function coloursOf(page, selector) {
  const count = () =>
    page.evaluate((wanted) => {
      const canvas = document.querySelector(wanted);
      if (!canvas?.width || !canvas.height) return 0;
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set();
      for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
      return seen.size;
    }, selector);
  // It is drawn once its size is known, a frame after the page.
  for (let left = 50; left > 0; left -= 1) {
    const colours = await count();
    if (colours) return colours;
    await page.waitForTimeout(100);
  }
  return 0;
}

export async function noProblem(page) {
  const problem = page.getByTestId('problem');
  if (await problem.count()) assert.fail(`the page shows a problem: ${await problem.first().innerText()}`);
}
