// The service map and the page of one service, on the data of `tyto demo`: BASE_URL=http://127.0.0.1:7070 npm run e2e.
// The demo breaks DynamoDB's GetItem 90 seconds after its start; the way from the red line to the 404 and its log lines is walked here.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BASE, inPage, launch, noProblem, picture, textThat } from './browser.mjs';

const MAP = '/map?from=now-15m';
/** The fault is there for some minutes, and the map knows whole ones. */
const FAULT_WAIT_MS = 300_000;
let browser;
before(async () => {
  browser = await launch();
  const until = Date.now() + FAULT_WAIT_MS;
  while (!(await isFailing())) {
    assert.ok(Date.now() < until, 'the demo breaks GetItem 90 seconds after its start');
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
});

async function lastMinutes() {
  const now = Math.floor(Date.now() / 1000);
  return await (await fetch(`${BASE}/api/tyto/v1/topology?start=${now - 900}&end=${now}`)).json();
}

async function isFailing() {
  const { edges } = await lastMinutes();
  const table = edges.find(({ from, to }) => from.endsWith('markers-api') && to === 'database:dynamodb.amazonaws.com');
  return table && table.errors_per_second / table.requests_per_second > 0.05 && table.errors_per_second * 900 > 3;
}
after(() => browser?.close());

test('the map shows everybody that the server knows, and how they are', async () => {
  await inPage(browser, async (page) => {
    await page.goto(MAP);
    await page.getByTestId('node').first().waitFor();
    const shown = await page.getByTestId('node').evaluateAll((nodes) => nodes.map((node) => node.dataset.id));
    const api = await lastMinutes();
    const known = api.entities.map(({ id }) => id).filter((id) => !/^(business_)?service:/.test(id));
    // A service of one component stands for itself without a frame, so that all that is finest shows.
    assert.deepEqual(shown.sort(), known.sort());
    assert.ok((await page.getByTestId('edge').count()) >= api.edges.length - 5);
    await textThat(page.getByTestId('map-sentence'), /calls .*fail|healthy/, 'a sentence of what is wrong');
    await page.getByTestId('drift').waitFor();
    await noProblem(page);
    await picture(page, 'map');
  });
});

test('three clicks lead from the red line to the failing GetItem, its 404 and its log lines', async () => {
  await inPage(browser, async (page) => {
    await page.goto(MAP);
    const line = page.locator(
      '[data-testid="edge"][data-state="failing"][data-edge$="markers-api > database:dynamodb.amazonaws.com"]',
    );
    await line.waitFor();
    // A click on the line itself, in the middle of it, where nothing else lies.
    await line.locator('path').last().dispatchEvent('click');
    const panel = page.getByTestId('map-panel');
    await textThat(panel, /GetItem[\s\S]*404[\s\S]*ResourceNotFoundException/, 'what fails');
    await picture(page, 'map-edge');
    await panel.getByTestId('example').first().click();
    await page.waitForURL(/\/trace\/[0-9a-f]{32}.*span=/);
    const detail = page.getByTestId('span-detail');
    await textThat(detail, /GetItem/, 'the span that failed');
    assert.match(await detail.innerText(), /404/);
    assert.match(await detail.innerText(), /markers/);
    // A logger writes the id of the span that it runs in, the server's, not that of the call below it.
    await page.getByRole('link', { name: 'Logs of this trace' }).click();
    await page
      .getByTestId('log-row')
      .filter({ hasText: /GetItem/ })
      .first()
      .waitFor();
    await noProblem(page);
  });
});

test('parts fold and unfold in place, and the view stands in the address', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto(`${MAP}&level=business_service`);
      const payments = page.locator('[data-id="business_service:payments"]');
      await payments.waitFor();
      const before = await page.getByTestId('node').count();
      await payments.getByRole('button', { name: 'Unfold payments' }).dispatchEvent('click');
      await page.locator('[data-id="service:payments/checkout"]').waitFor();
      assert.match(page.url(), /flip=/);
      assert.ok((await page.getByTestId('node').count()) > before);
      await page.reload();
      await page.locator('[data-id="service:payments/checkout"]').waitFor();
      await page.getByRole('button', { name: 'Fold payments' }).press('Enter');
      await payments.waitFor();
      await noProblem(page);
      await picture(page, 'map-folded-dark');
    },
    { scheme: 'dark' },
  );
});

test('search finds a node, its neighbours alone can be drawn, and keys walk', async () => {
  await inPage(browser, async (page) => {
    await page.goto(MAP);
    await page.getByTestId('node').first().waitFor();
    await page
      .getByRole('textbox', { name: 'Find on the map' })
      .or(page.getByRole('combobox', { name: 'Find on the map' }))
      .first()
      .fill('token-service');
    await page.getByRole('option', { name: /token-service/ }).click();
    const panel = page.getByTestId('map-panel');
    await textThat(panel, /token-service/, 'what was found');
    const all = await page.getByTestId('node').count();
    await panel.getByText('Upstream', { exact: true }).click();
    await page.waitForURL(/reach=up/);
    await page.waitForFunction((count) => document.querySelectorAll('[data-testid="node"]').length < count, all);
    const node = page.locator('[data-testid="node"][tabindex="0"]');
    await node.focus();
    await page.keyboard.press('ArrowLeft');
    const focused = await page.evaluate(() => document.activeElement?.getAttribute('data-id'));
    assert.ok(focused && !focused.includes('token-service'), `the focus moved: ${focused}`);
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => url.searchParams.get('node') === focused);
    await noProblem(page);
  });
});

test('colours and words tell latency and traffic, too', async () => {
  await inPage(browser, async (page) => {
    await page.goto(MAP);
    await page.getByTestId('node').first().waitFor();
    await page.getByText('Latency', { exact: true }).click();
    await page.waitForURL(/show=latency/);
    await textThat(
      page.getByTestId('map-sentence'),
      /^Slowest: .* 95 of 100 calls take up to [\d.]+ (µs|ms|s)/,
      'the slowest',
    );
    const words = await page.getByTestId('edge').locator('text').allTextContents();
    assert.ok(words.length > 3 && words.every((text) => /^[\d.]+ (µs|ms|s)$/.test(text)), `durations: ${words}`);
    await page.getByText('Traffic', { exact: true }).click();
    await page.waitForURL(/show=traffic/);
    const rates = await page.getByTestId('edge').locator('text').allTextContents();
    assert.ok(rates.length > 3 && rates.every((text) => /\/(s|min|h)$/.test(text)), `rates: ${rates}`);
    await noProblem(page);
  });
});

test('the slider shows the map of one moment', async () => {
  await inPage(browser, async (page) => {
    await page.goto(MAP);
    const slider = page.getByRole('slider', { name: 'The moment that the map shows' });
    await slider.waitFor();
    await slider.focus();
    const asked = page.waitForResponse((response) => /topology\?at=/.test(response.url()));
    for (let presses = 0; presses < 5; presses++) await page.keyboard.press('ArrowLeft');
    assert.equal((await asked).status(), 200);
    await page.waitForURL(/at=\d+/);
    await textThat(page.getByTestId('map-moment'), /\d\d:\d\d/, 'the moment');
    await page.getByRole('button', { name: 'The whole time' }).click();
    await page.waitForURL((url) => !url.searchParams.has('at'));
    await noProblem(page);
  });
});

test('on a telephone the map is a table, and nothing is wider than the screen', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto(MAP);
      await page.getByTestId('edge-row').first().waitFor();
      assert.equal(await page.getByTestId('edge-row').first().getAttribute('data-state'), 'failing');
      const wider = () => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.equal(await wider(), false);
      await picture(page, 'map-narrow');
      await page.getByTestId('edge-row').first().getByRole('button').first().click();
      await page.getByTestId('example').first().waitFor();
      assert.equal(await wider(), false);
      await noProblem(page);
    },
    { size: { width: 390, height: 844 } },
  );
});

for (const scheme of ['light', 'dark'])
  test(`the page of a service says how it does, who calls it and what fails (${scheme})`, async () => {
    await inPage(
      browser,
      async (page) => {
        await page.goto('/service/markers-api?from=now-15m');
        await page.getByRole('heading', { name: 'markers-api', level: 1 }).waitFor();
        await page.locator('canvas').nth(2).waitFor();
        const rows = page.getByTestId('edge-row');
        await rows.first().waitFor();
        assert.deepEqual(await rows.getByRole('button').allInnerTexts(), [
          'playback-session',
          'dynamodb.amazonaws.com',
        ]);
        await textThat(page.getByTestId('operations'), /markers/, 'its operations');
        await textThat(page.getByTestId('deploys'), /markers-api \d+\.\d+/, 'its version');
        await textThat(page.getByTestId('service-logs'), /GetItem/, 'its errors');
        await noProblem(page);
        if (scheme === 'light') await picture(page, 'service');
      },
      { scheme },
    );
  });
