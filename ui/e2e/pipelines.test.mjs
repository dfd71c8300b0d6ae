// The company's pipelines, and trials: BASE_URL=http://127.0.0.1:7070 npm run e2e.
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
  test(`what is in force is said in words, and a change of it is tried (${scheme})`, async () => {
    await inPage(
      browser,
      async (page) => {
        await page.goto('/pipelines');
        await textThat(page.getByTestId('verdict'), /2 pipelines work[\s\S]*Records went through/, 'the sentence');
        const privacy = page.getByTestId('pipeline').filter({ hasText: 'privacy' });
        await textThat(
          privacy,
          /Everybody’s records[\s\S]*Hides[\s\S]*payment cards/,
          'whom it is for, and what it does',
        );
        await privacy.getByRole('link', { name: 'Try a change' }).click();
        await page.waitForURL(/\/pipelines\/try/);
        await page.getByTestId('try').focus();
        await page.keyboard.press('Enter');
        await textThat(page.getByTestId('verdict'), /Of 20 records/, 'the newest records');
        assert.equal(await page.getByTestId('tried-record').count(), 20);
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
