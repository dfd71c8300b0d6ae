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
    await textThat(page.getByTestId('entry').first(), /tier 1[\s\S]*of 9[\s\S]*runbook/, 'an entry with its gaps');
    await noProblem(page);
    await picture(page, 'catalogue');

    await page.keyboard.press('/');
    await page.keyboard.type('service.name=checkout');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=service\.name/);
    await textThat(page.getByTestId('count'), /^1 component$/, 'a search by what claims it');
    await page.getByTestId('entry').getByRole('link').click();
    await page.waitForURL(/\/catalogue\/payments%2Fcheckout%2Fcheckout-api/);
    await textThat(page.getByTestId('missing'), /5 of 9[\s\S]*no runbook/i, 'what is missing');
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
