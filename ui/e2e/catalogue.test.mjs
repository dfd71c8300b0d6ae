// The catalogue's pages: who owns what, what is missing, and what nobody claims.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inPage, launch, noProblem, picture, textThat } from './browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

test('the catalogue says who owns what and what is missing', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/');
    await page.getByTestId('summary').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    await page.waitForURL(/\/catalogue/);
    await textThat(
      page.getByTestId('verdict'),
      /23 components of 6 business services, owned by 11 teams/,
      'the sentence',
    );
    await textThat(page.getByTestId('entry').first(), /tier 1[\s\S]*8 of 9[\s\S]*purpose/, 'an entry with its gaps');
    await noProblem(page);
    await picture(page, 'catalogue');

    await page.keyboard.press('/');
    await page.keyboard.type('service.name=checkout');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=service\.name/);
    await textThat(page.getByTestId('count'), /^1 component$/, 'a search by what claims it');
    await page.getByTestId('entry').getByRole('link').click();
    await page.waitForURL(/\/catalogue\/payments%2Fcheckout%2Fcheckout-api/);
    await textThat(page.getByTestId('missing'), /8 of 9[\s\S]*(purpose|what it is for)/i, 'what is missing');
    await textThat(
      page.locator('main'),
      /service\.name is\s+checkout-api[\s\S]*token-service[\s\S]*ledger-entries \(queue\)/,
      'its rule and what it depends on',
    );
    await noProblem(page);
    await picture(page, 'catalogue-entry');

    // Both ways between what it is and how it does.
    await page.getByRole('link', { name: 'How it does' }).click();
    await page.waitForURL(/\/service\/payments%2Fcheckout%2Fcheckout-api/);
    await page.getByRole('link', { name: 'Who owns it' }).click();
    await page.waitForURL(/\/catalogue\/payments%2Fcheckout%2Fcheckout-api/);
    await page.getByRole('link', { name: 'billing', exact: true }).click();
    await page.waitForURL(/kind=team/);
    await textThat(page.locator('main'), /billing@example\.com[\s\S]*What it owns[\s\S]*payments/, 'the team');
    await noProblem(page);
  });
});

test('an unclaimed sender comes with the rule that claims it', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/catalogue?view=unclaimed');
    const sender = page.getByTestId('sender').filter({ hasText: 'geo-lookup' });
    await textThat(sender, /log records[\s\S]*spans[\s\S]*- service\.name: geo-lookup/, 'what claims it');
    assert.equal(await sender.count(), 1, 'its series are told with its logs and spans');
    await noProblem(page);
    await picture(page, 'catalogue-unclaimed');
  });
});

test('the scorecard says where each team stands and what lifts it', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/catalogue');
    await page.getByRole('link', { name: 'How well can it be watched?' }).click();
    await page.waitForURL(/\/scorecard/);
    await textThat(page.getByTestId('verdict'), /level [1-4] of 4[\s\S]*belong to nobody/, 'the sentence on top');
    await textThat(page.getByTestId('lifts'), /\d+ of \d+ components/, 'what lifts all of it');
    assert.ok((await page.getByTestId('score').count()) >= 6, 'the teams whose records came have a line each');
    await noProblem(page);
    await picture(page, 'scorecard');

    await page.getByTestId('score').getByRole('link', { name: 'identity', exact: true }).click();
    await page.waitForURL(/team=identity/);
    await textThat(page.getByTestId('verdict'), /Team identity: level/, 'one team');
    const component = page.getByTestId('component').filter({ hasText: 'token-service' });
    await component.locator('summary').focus();
    await page.keyboard.press('Enter');
    await textThat(
      component,
      /Level 3, Explained[\s\S]*Logs, traces and metrics arrive: [\d,]+ log/,
      'what it is judged by',
    );
    await noProblem(page);
    await picture(page, 'scorecard-team');
    await page.getByRole('button', { name: 'Show everybody' }).click();
    await page.getByText('Business services', { exact: true }).click();
    await textThat(page.getByTestId('score').filter({ hasText: 'payments' }), /[1-4] \w+/, 'a business service');
    await page.getByText('How these figures were found').click();
    await page.getByRole('link', { name: /^Spans, and how many/ }).click();
    await page.waitForURL(/\/sql\?/);
    await noProblem(page);
  });
});

test('an entry that nobody declares says so', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto('/catalogue/payments%2Fgone');
      await textThat(page.getByTestId('problem'), /declares nothing of that path/, 'the missing entry');
    },
    { expected: [/status of 404/] },
  );
});
