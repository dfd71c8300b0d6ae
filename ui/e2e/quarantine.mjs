// The walk of e2e/test_contracts.py: BASE_URL=http://127.0.0.1:7070 node e2e/quarantine.mjs. Four records with a wrong method wait; the
// contract takes it by now, so they can be let in, and one whose method is missing cannot.
import assert from 'node:assert/strict';
import { inPage, launch, noProblem, picture, textThat } from './browser.mjs';

const browser = await launch();
try {
  await inPage(browser, async (page) => {
    await page.goto('/quarantine?team=web');
    await textThat(page.getByTestId('verdict'), /Nothing of team web waits/, 'what is left out');
    await page.goto('/quarantine?team=till');
    await textThat(page.getByTestId('verdict'), /5 records of team till wait/, 'what a message leads to');
    await page.getByRole('button', { name: 'Show all teams' }).click();
    await page.waitForURL((address) => !address.searchParams.get('team'));
    await textThat(page.getByTestId('verdict'), /5 records wait[\s\S]*Nothing is lost/, 'what waits');
    const groups = page.getByTestId('quarantine-group');
    assert.equal(await groups.count(), 2);
    const wrong = groups.filter({ hasText: 'payment.method should be one of ["card","wallet"]' });
    const missing = groups.filter({ hasText: 'payment.method is missing' });
    await textThat(wrong, /payments[\s\S]*team till[\s\S]*contracts\/payments\.json:\d+[\s\S]*4/, 'whose it is');

    await wrong.getByRole('button', { name: 'Example 1' }).click();
    await textThat(
      page.getByTestId('quarantine-example'),
      /payment\.method[\s\S]*a string of 1 to 8 bytes[\s\S]*should be one of/,
      'what the record has',
    );
    assert.ok(!(await page.content()).includes('crad'), 'no value is shown');
    await noProblem(page);
    await picture(page, 'quarantine');

    await wrong.getByRole('button', { name: /Let in/ }).click();
    await textThat(page.getByTestId('verdict'), /1 record waits/, 'what is left');
    await missing.getByRole('button', { name: /Let in/ }).click();
    await textThat(
      page.getByTestId('outcome'),
      /1 record breaks the contract still[\s\S]*payment\.method/,
      'why it waits on',
    );
    await missing.getByRole('button', { name: 'Throw away' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Throw away' }).click();
    await textThat(page.getByTestId('verdict'), /Nothing waits/, 'all is settled');
    await noProblem(page);
    console.log('settled');
  });
} finally {
  await browser.close();
}
