// What people who ask no queries see of a running `tyto demo`: BASE_URL=http://127.0.0.1:7070 npm run e2e.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BASE, inPage, launch, noProblem, picture, textThat } from './browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const number = (text) => Number(text.replace(/[^\d.]/g, ''));

test('the gallery leads to a board that reads by itself', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/boards');
    const cards = page.getByTestId('board-card');
    await cards.first().waitFor();
    assert.deepEqual(await cards.locator('h2').allInnerTexts(), ['New members', 'Payments', 'Watching']);
    await cards.filter({ hasText: 'Payments' }).click();
    await page.waitForURL(/\/boards\/payments/);
    await textThat(page.getByTestId('board-time'), /today, since midnight/, 'the time in words');
    const tile = (title) => page.getByRole('region', { name: title, exact: true });
    // The history may have begun after midnight, and the hour after midnight is short: the last day has it all.
    await page.getByText('24 hours', { exact: true }).click();
    await textThat(page.getByTestId('board-time'), /the last 24 hours/, 'the chosen time in words');
    await page.waitForURL(/shown=24h/);
    const paid = await textThat(tile('Payments received').getByTestId('number'), /\d/, 'the number of payments');
    assert.ok(number(paid) > 10, `members pay: ${paid}`);
    const steps = await tile('From the basket to the books').locator('strong').allInnerTexts();
    assert.equal(steps.length, 3, 'three steps');
    assert.ok(
      steps.every((text) => number(text) > 10),
      `people come through: ${steps}`,
    );
    await tile('Payments by means').locator('canvas').waitFor();
    const feed = tile('Latest payments').getByRole('listitem');
    assert.ok((await feed.count()) >= 5, 'events are told');
    await textThat(feed.first(), /Payment of [\d.]+ [A-Z]{3} received from/, 'a sentence');
    await noProblem(page);
    await picture(page, 'board');
  });
});

test('the numbers of a board are those that were sent, and it asks again', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/boards/registrations?shown=24h');
    const shown = page.getByRole('region', { name: 'New members', exact: true }).getByTestId('number');
    const first = number(await textThat(shown, /\d/, 'the number of members'));
    const now = Math.floor(Date.now() / 1000);
    const sql = `SELECT count(*) AS n FROM logs WHERE event_name = 'member.registered' AND time_unix_nano >= ${now - 86400}000000000`;
    const answer = await fetch(`${BASE}/api/tyto/v1/sql`, { method: 'POST', body: JSON.stringify({ sql }) });
    const [[stored]] = (await answer.json()).rows;
    assert.ok(first > 0 && first <= stored && stored - first <= 10, `${first} shown, ${stored} stored`);
    const again = page.waitForResponse((response) => response.url().includes('/boards/registrations'), {
      timeout: 20_000,
    });
    assert.equal((await again).status(), 200);
    await noProblem(page);
  });
});

test('a tile whose answer is only a part says so', async () => {
  await inPage(browser, async (page) => {
    await page.route('**/api/tyto/v1/boards/payments?*', async (route) => {
      const board = await (await route.fetch()).json();
      board.tiles[0].warnings = ['the shard eu-west did not answer'];
      await route.fulfill({ json: board });
    });
    await page.goto('/boards/payments?shown=24h');
    await textThat(
      page.getByTestId('tile-doubts'),
      /may not be all of it: the shard eu-west did not answer\./,
      'the doubt',
    );
    assert.equal(await page.getByTestId('tile-doubts').count(), 1);
    await noProblem(page);
  });
});

test('a board that is not there is said so', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto('/boards/nothing');
      await page.getByText('cannot find a board called "nothing"').waitFor();
    },
    { expected: [/404/] },
  );
});

test('a board reads on a telephone, in the dark', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.setViewportSize({ width: 390, height: 844 });
      await page.goto('/boards/play-starts?shown=24h');
      await page.getByTestId('number').first().waitFor();
      const wider = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.equal(wider, false, 'nothing is wider than the screen');
      await noProblem(page);
    },
    { scheme: 'dark' },
  );
});
