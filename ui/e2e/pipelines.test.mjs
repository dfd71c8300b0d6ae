// A company without pipelines begins with one: BASE_URL=http://127.0.0.1:7070 npm run e2e.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inPage, launch, noProblem, textThat } from './browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const [scheme, size] of [
  ['light', undefined],
  ['dark', { width: 420, height: 900 }],
])
  test(`whoever has no pipeline is shown one and tries it (${scheme})`, async () => {
    await inPage(
      browser,
      async (page) => {
        await page.goto('/pipelines');
        await textThat(page.getByTestId('verdict'), /stored as they come/, 'nothing is in force');
        await textThat(page.getByTestId('first-pipeline'), /kinds: \[secrets, card, email\]/, 'an example');
        await page.getByRole('link', { name: 'Try it on your records' }).click();
        await page.waitForURL(/\/pipelines\/try/);
        await page.getByTestId('try').focus();
        await page.keyboard.press('Enter');
        await textThat(page.getByTestId('verdict'), /Of 20 records/, 'the newest records');
        assert.equal(await page.getByTestId('tried-record').count(), 20);
        await textThat(page.getByTestId('trial-stages'), /Everybody’s records/, 'whom it is for');
        await noProblem(page);
      },
      { scheme, size },
    );
  });

test('a contract is tried for somebody who has another', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/quarantine/try?for=payments&last=1h');
    await page.getByTestId('try').click();
    await textThat(page.getByTestId('verdict'), /records? (break|keep)/, 'the sentence');
    await textThat(page.getByTestId('judged'), /Judged (was|were)/, 'which were judged');
    await noProblem(page);
  });
});
