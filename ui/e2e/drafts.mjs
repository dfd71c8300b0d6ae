// The walk of e2e/test_pipelines.py: BASE_URL=http://127.0.0.1:7070 node e2e/drafts.mjs. One pipeline drops health checks; a change of
// it hides cards and drops probes, a broken one is told with its place, and a contract would set five records aside.
import assert from 'node:assert/strict';
import { inPage, launch, noProblem, picture, textThat } from './browser.mjs';

const browser = await launch();

/** At the end of the draft, as if it was pasted. */
async function write(page, text) {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+End');
  await page.keyboard.insertText(text);
}

async function pipelines(page) {
  await page.goto('/');
  await page.getByRole('link', { name: 'Pipelines', exact: true }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('i');
  await page.waitForURL(/\/pipelines/);
  await textThat(
    page.getByTestId('verdict'),
    /1 pipeline works[\s\S]*8 records went through[\s\S]*2 dropped/,
    'the sentence',
  );
  const card = page.getByTestId('pipeline');
  await textThat(
    card,
    /Records of payments[\s\S]*pipelines\/payments\.yaml[\s\S]*8 records through/,
    'whose, and where',
  );
  const stages = await card.getByTestId('stage').allInnerTexts();
  assert.match(stages[0], /Drops “health check” records where contains[\s\S]*2 dropped: health check/);
  assert.match(stages[1], /Hides passwords, keys and tokens[\s\S]*1 value hidden/);
  await noProblem(page);
  await picture(page, 'pipelines');

  await card.getByRole('link', { name: 'Try a change' }).click();
  await page.waitForURL(/\/pipelines\/try\?.*of=payments/);
  await write(
    page,
    '  - mask: {kinds: [card, email]}\n  - drop: {when: \'contains(.body, "/live")\', reason: probe}\n',
  );
  await page.keyboard.press('Control+Enter');
  await textThat(
    page.getByTestId('verdict'),
    /Of 6 records 2 would be changed and 1 would be dropped/,
    'what it would do',
  );
  await textThat(
    page.getByTestId('trial-stages'),
    /Hides payment cards and e-mail addresses[\s\S]*hid values in 2 records[\s\S]*1 dropped/,
    'its stages',
  );
  const record = (words) => page.getByTestId('tried-record').filter({ hasText: words });
  const paid = record('paid with 4111');
  assert.equal(await paid.locator('del').first().innerText(), '4111 1111 1111 1111');
  assert.equal(await paid.locator('ins').first().innerText(), '[masked:card]');
  await textThat(
    paid,
    /Changed[\s\S]*Before[\s\S]*After[\s\S]*user\s+changed\s+ann@example\.com\s+\[masked:email\]/,
    'before and after',
  );
  await textThat(record('GET /live'), /Dropped by stage 4: probe/, 'what is dropped, by which stage');
  await noProblem(page);
  await page.locator('header h1').click();
  await picture(page, 'pipeline-try');
  await page.getByText('Dropped 1', { exact: true }).click();
  assert.equal(await page.getByTestId('tried-record').count(), 1, 'only what is dropped shows');

  // Nothing is lost by a reload.
  await page.reload();
  await textThat(page.getByTestId('verdict'), /Of 6 records/, 'the trial after a reload');
  await textThat(page.locator('.cm-content'), /reason: probe/, 'the draft after a reload');

  await write(page, '  - msak: card\n');
  await page.keyboard.press('Control+Enter');
  await textThat(page.getByTestId('verdict'), /cannot be used: 1 mistake/, 'a broken draft');
  const wrong = page.getByTestId('draft-problems');
  await textThat(wrong, /Line 9, column 5\s*Cannot use "msak" as a stage[\s\S]*mask/, 'what is wrong, and where');
  await textThat(page.locator('.cm-lintRange-error'), /^msak$/, 'the place in the editor');
  await wrong.getByRole('button').focus();
  await page.keyboard.press('Enter');
  const at = await page.evaluate(() => window.getSelection()?.anchorNode?.textContent ?? '');
  assert.match(at, /msak/, 'the cursor stands there');
  await noProblem(page);
  await picture(page, 'pipeline-try-wrong');

  await page.getByText('My own lines', { exact: true }).click();
  await page.getByRole('button', { name: 'Begin again' }).click();
  await page.getByLabel('Lines, each a record').fill('GET /health 200\n{"body": "api_key=abc123"}');
  await page.getByTestId('try').click();
  await textThat(
    page.getByTestId('verdict'),
    /Of 2 records 1 would be changed and 1 would be dropped/,
    'lines of my own',
  );
  await page.getByText('How it comes into force').click();
  await textThat(
    page.locator('main'),
    /Commit it[\s\S]*tyto pipeline try pipelines\/payments\.yaml --input/,
    'how it comes into force',
  );
  await noProblem(page);
}

async function contract(page) {
  await page.goto('/quarantine');
  await page.getByRole('link', { name: 'Try a contract' }).click();
  await page.waitForURL(/\/quarantine\/try/);
  await page.getByRole('combobox', { name: 'Begin from' }).click();
  await page.getByRole('option', { name: 'payments' }).click();
  await page.waitForURL(/of=payments/);
  await textThat(page.locator('.cm-content'), /"mode": "observe"/, 'the contract in force');
  const text = (await page.locator('.cm-line').allTextContents()).join('\n');
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(text.replace('observe', 'quarantine').replace('["card", "sepa"]', '["card"]'));
  await page.keyboard.press('Control+Enter');
  await textThat(page.getByTestId('verdict'), /5 of 6 records break the contract/, 'how many break it');
  await textThat(
    page.getByTestId('judged'),
    /all records with the contract payments that came in the last 24 hours/,
    'which were judged',
  );
  await textThat(page.getByTestId('outcome'), /Set aside\s+5/, 'what would happen to them');
  const unknown = page.getByTestId('breach').filter({ hasText: 'one of ["card"]' });
  await textThat(
    unknown,
    /1 record of payments checkout \/ ledger would be set aside[\s\S]*in line 6/,
    'whose, and by which rule',
  );
  const told = await page.getByRole('region', { name: 'What it would do' }).innerText();
  assert.ok(!told.includes('sepa'), 'no value is shown');
  await noProblem(page);
  await page.locator('header h1').click();
  await picture(page, 'contract-try');

  await write(page, '}');
  await page.keyboard.press('Control+Enter');
  await textThat(page.getByTestId('draft-problems'), /Line \d+, column \d+/, 'a broken contract');
  await noProblem(page);
}

try {
  await inPage(browser, pipelines);
  // A contract that cannot be read is refused.
  await inPage(browser, contract, { expected: [/status of 400/] });
  console.log('tried');
} finally {
  await browser.close();
}
