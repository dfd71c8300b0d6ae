// The walk of e2e/test_pipelines.py: BASE_URL=http://127.0.0.1:7070 node e2e/first-pipeline.mjs. Whoever has no pipeline is shown one, and
// tries it on the records that came.
import assert from 'node:assert/strict';
import { inPage, launch, noProblem, textThat } from './browser.mjs';

const browser = await launch();

async function first(page) {
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
}

try {
  await inPage(browser, first, { scheme: 'light' });
  await inPage(browser, first, { scheme: 'dark', size: { width: 420, height: 900 } });
  console.log('tried');
} finally {
  await browser.close();
}
