// The walk of e2e/test_app_traces.py over the app of e2e/app: BASE_URL=http://127.0.0.1:7070 node e2e/app.mjs. Three clicks lead from the
// map's red line to the GetItem that fails, its 404, its metadata and its log lines.
import assert from 'node:assert/strict';
import { inPage, launch, noProblem, picture, textThat } from './browser.mjs';

const browser = await launch();
try {
  await inPage(browser, async (page) => {
    let clicks = 0;
    const click = async (locator) => {
      clicks += 1;
      await locator.click();
    };
    await page.goto('/map?from=now-15m');
    const line = page.locator(
      '[data-testid="edge"][data-state="failing"][data-edge$="doctors-api > database:dynamodb.amazonaws.com"]',
    );
    await line.waitFor();
    await textThat(page.getByTestId('map-sentence'), /doctors-api[\s\S]*dynamodb/, 'where it begins');
    await picture(page, 'app-map');

    // The line itself, in the middle of it.
    const place = await line
      .locator('path')
      .last()
      .evaluate((path) => {
        const { x, y } = path.getPointAtLength(path.getTotalLength() / 2);
        const { a, b, c, d, e, f } = path.getScreenCTM();
        return { x: a * x + c * y + e, y: b * x + d * y + f };
      });
    clicks += 1;
    await page.mouse.click(place.x, place.y);
    const panel = page.getByTestId('map-panel');
    await textThat(
      panel,
      /DynamoDB\.GetItem on doctors-south[\s\S]*400[\s\S]*Requested resource not found/,
      'what fails',
    );
    await panel.getByRole('heading').first().hover();
    await picture(page, 'app-edge');

    await click(panel.getByTestId('example').first());
    await page.waitForURL(/\/trace\/[0-9a-f]{32}.*span=/);
    const detail = page.getByTestId('span-detail');
    await textThat(detail, /GetItem[\s\S]*doctors-south/, 'the span that failed, and the table that it asked for');
    await textThat(detail, /ResourceNotFoundException/, 'its exception');
    await textThat(page.getByTestId('waterfall'), /404/, 'what became of the request');
    await picture(page, 'app-trace');

    await click(page.getByRole('link', { name: 'Logs of this trace' }));
    for (const words of [/GetItem of doctors-south failed/, /has no doctor/])
      await page.getByTestId('log-row').filter({ hasText: words }).first().waitFor();
    await noProblem(page);
    await picture(page, 'app-logs');
    assert.equal(clicks, 3);
    console.log('three clicks');
  });
} finally {
  await browser.close();
}
