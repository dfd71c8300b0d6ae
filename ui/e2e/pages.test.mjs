// Drives every page of a running Tyto that holds the data of `tyto demo`: BASE_URL=http://127.0.0.1:7070 npm run e2e.
// Chooses by what the server has, so that any seed of the simulated company will do. Writes the pictures of the docs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BASE, coloursOf, inPage, launch, noProblem, picture, textThat } from './browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const number = (text) => Number(text.replace(/[^\d.]/g, ''));
const q = encodeURIComponent;

for (const [scheme, name] of [
  ['light', 'home'],
  ['dark', 'home-dark'],
]) {
  test(`home says how the company is doing (${scheme})`, async () => {
    await inPage(
      browser,
      async (page) => {
        await page.goto('/');
        await textThat(page.getByTestId('summary'), /healthy|failing|slow/, 'the sentence on top');
        const rows = page.getByTestId('service');
        assert.ok((await rows.count()) >= 2, 'several business services are listed');
        const rates = await rows.locator('b').allInnerTexts();
        assert.ok(
          rates.some((text) => /\/s$/.test(text) && number(text) > 0),
          `a service has traffic: ${rates}`,
        );
        const lines = await rows
          .locator('svg path[stroke]')
          .evaluateAll((paths) => paths.map((path) => path.getAttribute('d')?.length ?? 0));
        assert.ok(Math.max(...lines) > 100, 'sparklines have points');
        assert.equal(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), scheme);
        await noProblem(page);
        await picture(page, name);
      },
      { scheme },
    );
  });
}

test('home leads to the logs, traces and metrics of a service', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/');
    const row = page.getByTestId('service').first();
    await row.getByRole('link', { name: 'Metrics' }).click();
    await page.waitForURL(/\/charts\?.*business_service=/);
    await page.getByTestId('metric-list').getByRole('button').first().waitFor();
    await page.goBack();
    await row.getByRole('link', { name: 'Traces' }).click();
    await page.waitForURL(/\/traces\?.*q=.*business_service/);
    await page.getByTestId('trace-list').getByRole('link').first().waitFor();
    await page.goBack();
    await row.getByRole('link', { name: 'Logs', exact: true }).click();
    await page.waitForURL(/\/logs\?.*business_service/);
    await textThat(page.getByTestId('log-total'), /\d/, 'the number of rows');
    await noProblem(page);
  });
});

test('logs show rows, their histogram and their detail, and narrow to a value', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/logs');
    const rows = page.getByTestId('log-row');
    await rows.first().waitFor();
    assert.ok((await rows.count()) > 10, 'many rows are in sight');
    assert.ok(number(await textThat(page.getByTestId('log-total'), /[1-9]/, 'the histogram counts rows')) > 10);
    await page.waitForTimeout(300);
    assert.ok((await coloursOf(page, 'section canvas')) >= 2, 'bars are drawn');
    const times = await rows.locator('time').allInnerTexts();
    const clocks = times.map((text) => text.match(/\d\d:\d\d:\d\d\.\d+$/)?.[0]);
    assert.ok(clocks.every(Boolean), 'each row has its time');
    await noProblem(page);

    await rows.nth(2).getByRole('button').click();
    const detail = page.getByTestId('log-detail');
    await detail.waitFor();
    await textThat(detail, /business_service|service_name/, 'labels in the detail');
    await picture(page, 'logs');

    const before = number(await page.getByTestId('log-total').innerText());
    const field = detail
      .locator('dl > div')
      .filter({ has: page.locator('dt', { hasText: /^(component|service_name|app|job)$/ }) });
    const value = (await field.first().locator('dd').innerText()).trim();
    await field
      .first()
      .getByRole('button', { name: /^Only rows/ })
      .click();
    await page.waitForURL((address) => address.searchParams.get('q')?.includes(value) ?? false);
    await page.waitForFunction((wanted) => {
      const shown = [...document.querySelectorAll('[data-testid="log-row"]')].slice(0, 8);
      return shown.length > 0 && shown.every((row) => row.textContent.includes(wanted));
    }, value);
    await page.waitForFunction(
      (total) => Number(document.querySelector('[data-testid="log-total"]')?.textContent.replace(/\D/g, '')) < total,
      before,
    );
    await noProblem(page);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await detail.count(), 1, 'Esc closes the dialog and nothing behind it');
    await page.keyboard.press('Escape');
    await detail.waitFor({ state: 'detached' });
  });
});

test('logs load older rows', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/logs');
    await textThat(page.getByTestId('row-count'), /newest 500 rows/, 'a first page of rows');
    await page.getByTestId('log-rows').evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await page.getByRole('button', { name: 'Load older rows' }).click();
    await textThat(page.getByTestId('row-count'), /newest (1 000|9\d\d) rows/, 'a second page of rows');
    await noProblem(page);
  });
});

test("a mistake in a query shows the server's words, not an empty page", async () => {
  await inPage(
    browser,
    async (page) => {
      for (const path of [
        `/logs?q=${q('{a="b"')}`,
        `/charts?q=${q('sum(up')}`,
        `/sql?q=${q('SELECT x FROM nowhere')}`,
      ]) {
        await page.goto(path);
        await textThat(page.getByTestId('problem'), /refused|failed[\s\S]+(error|cannot|expected)/i, path);
        assert.equal(await page.getByTestId('empty').count(), 0, 'a failure is not an empty answer');
        await page.getByTestId('problem').getByRole('button', { name: 'Try again' }).first().waitFor();
      }
      await page.goto(`/logs?q=${q('{business_service="no-such-service"}')}`);
      await textThat(
        page.getByTestId('empty'),
        /No log rows match[\s\S]*no-such-service/,
        'an empty answer says what was asked',
      );
      assert.equal(await page.getByTestId('problem').count(), 0);
    },
    { expected: [/status of 4\d\d/] },
  );
});

test('metrics draw a query that was chosen from the list', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/charts');
    const list = page.getByTestId('metric-list').getByRole('button');
    await list.first().waitFor();
    await page.getByLabel('Search metrics').fill('duration');
    await list.filter({ hasText: 'histogram' }).first().click();
    await page.waitForURL(/q=histogram_quantile/);
    await textThat(page.getByTestId('legend'), /\d+(\.\d+)? (ms|µs|s)/, 'durations in the legend');
    await page.waitForTimeout(300);
    assert.ok((await coloursOf(page, '[role="img"] canvas')) >= 3, 'lines are drawn');
    const names = page.getByTestId('legend').locator('tbody button');
    assert.ok((await names.count()) >= 2, 'several series');
    await noProblem(page);
    await picture(page, 'metrics');

    await names.first().click();
    assert.equal(await page.locator('tr[data-off="true"]').count(), (await names.count()) - 1, 'one line is isolated');
    const chart = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(chart.x + chart.width * 0.5, chart.y + 60);
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width * 0.8, chart.y + 60, { steps: 6 });
    await page.mouse.up();
    await page.waitForURL(/from=\d{13}.*to=\d{13}/);
    await page.getByRole('button', { name: 'Back to the range before' }).click();
    await page.waitForURL((address) => !/from=\d{13}/.test(address.search));
    await page.getByText('Table', { exact: true }).click();
    await textThat(page.getByTestId('grid'), /component[\s\S]*\d/, 'the table of values');
    await noProblem(page);
  });
});

const RATE = 'sum by (component) (rate(http_server_request_duration_seconds_count[5m]))';

test('several metric queries are drawn by their units, switched off, explained and removed', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/charts?q=${q(RATE)}`);
    await page.getByTestId('picture').waitFor();
    await page.getByRole('button', { name: 'Add query' }).click();
    await page.keyboard.type('max by (component) (process_memory_usage_bytes)');
    await page.keyboard.press('Escape');
    await page.locator('.cm-content').nth(1).click();
    await page.keyboard.press('Control+Enter');
    await page.waitForURL((address) => address.searchParams.get('q.b')?.startsWith('max by') ?? false);
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="picture"]').length === 2);
    await textThat(page.getByTestId('legend').nth(1), /B · [\s\S]*MiB/, 'memory has axes and a unit of its own');
    await page.getByTestId('picture').first().getByText('Stacked', { exact: true }).click();
    await page.waitForURL(/draw=stacked/);
    await page.getByTestId('picture').nth(1).getByLabel('Log scale').check({ force: true });
    await page.waitForURL(/scale\.b=log/);
    await page.getByTestId('picture').nth(1).getByLabel('Unit').selectOption('none');
    await page.waitForURL(/unit\.b=none/);
    await noProblem(page);
    await page.getByText('Explain', { exact: true }).click();
    await textThat(page.getByTestId('explain'), /Read [\s\S]*Server time[\s\S]*(ms|s)/, 'what the answers cost');
    await page.getByText('Chart', { exact: true }).click();
    await page.getByRole('button', { name: 'Switch A off' }).click();
    await page.waitForURL(/off=a/);
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="picture"]').length === 1);
    await page.getByRole('button', { name: 'Duplicate B' }).click();
    await page.waitForURL((address) => address.searchParams.get('q.c')?.startsWith('max by') ?? false);
    await page.getByRole('button', { name: 'Remove A' }).click();
    await page.waitForURL((address) => !address.searchParams.has('q') && !address.searchParams.has('off'));
    await noProblem(page);
  });
});

test('a histogram is a heat map whose exemplars open their traces', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/charts?q=${q('rate(playback_startup_duration_seconds[5m])')}`);
    await page.getByTestId('heat-legend').waitFor();
    await page.waitForTimeout(300);
    assert.ok((await coloursOf(page, '[data-heat] canvas')) >= 8, 'cells of many shades are drawn');
    const exemplar = page.getByTestId('exemplars').locator('a:not([hidden])').first();
    await exemplar.waitFor();
    await picture(page, 'heatmap');
    await exemplar.dispatchEvent('click', { button: 0 });
    await page.waitForURL(/\/trace\/[0-9a-f]{32}/);
    await page.goto(`/charts?q=${q('sum by (le) (rate(http_server_request_duration_seconds_bucket[5m]))')}`);
    await page.getByTestId('heat-legend').waitFor();
    await page.getByText('Lines', { exact: true }).click();
    await textThat(page.getByTestId('legend'), /\+Inf/, 'buckets as lines');
  });
});

test('the editor completes what is there, in the context of its selector', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/charts');
    await page.getByTestId('metric-list').getByRole('button').first().waitFor();
    await page.locator('.cm-content').first().click();
    await page.keyboard.type('process_mem');
    await page.keyboard.press('Control+Space');
    await textThat(page.locator('.cm-tooltip-autocomplete'), /process_memory_usage_bytes/, 'names of metrics');
    // A list that has only just opened takes no keys, so that nobody accepts what they have not seen.
    await page.waitForTimeout(200);
    await page.keyboard.press('Enter');
    await page.keyboard.type('{component="');
    await page.keyboard.press('Control+Space');
    await textThat(page.locator('.cm-tooltip-autocomplete'), /payment-gateway|\w+-\w+/, 'values of the label');
  });
});

test('cardinality tells who brings how many values, and leads to the metrics', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/cardinality');
    await textThat(page.getByTestId('verdict'), /label/, 'the sentence on top');
    await page.getByTestId('label-row').first().waitFor();
    const metric = page.getByTestId('ranking').first().getByRole('link').first();
    const name = (await metric.innerText()).trim();
    await noProblem(page);
    await picture(page, 'cardinality');
    await metric.click();
    await page.waitForURL((address) => address.searchParams.get('q') === name);
    await page.getByTestId('picture').waitFor();
  });
});

test('traces are found and shown as a waterfall', async () => {
  const now = Math.floor(Date.now() / 1000);
  const found = await (await fetch(`${BASE}/tempo/api/search?limit=100&start=${now - 3600}&end=${now + 5}`)).json();
  const [best] = [...found.traces].sort(
    (a, b) => Number(b.errorCount > 0) - Number(a.errorCount > 0) || b.spanCount - a.spanCount,
  );
  await inPage(browser, async (page) => {
    await page.goto('/traces');
    const links = page.getByTestId('trace-list').getByRole('link');
    await links.first().waitFor();
    assert.ok((await links.count()) >= 5, 'several traces');
    await textThat(links.first(), /\d+(\.\d+)? (ms|µs|s)/, 'a duration');
    assert.ok((await coloursOf(page, '[data-testid="scatter"] canvas')) >= 2, 'points are drawn');
    await noProblem(page);
    await picture(page, 'traces');
    await links.first().click();
    await page.waitForURL(/\/trace\/[0-9a-f]+/);

    await page.goto(`/trace/${best.traceID}`);
    const bars = page.getByTestId('span');
    await bars.first().waitFor();
    await textThat(bars.first(), /\w+[\s\S]+\d+(\.\d+)? (ms|µs|s)/, 'a service, a name and a duration');
    assert.ok((await coloursOf(page, '[aria-label^="The whole trace"] canvas')) >= 1, 'the minimap is drawn');
    const failed = page.locator('[data-testid="span"][data-error="true"]');
    await ((await failed.count()) ? failed.last() : bars.first()).click();
    await textThat(
      page.getByTestId('span-detail'),
      /Attributes[\s\S]*Resource[\s\S]*service\.name/,
      'attributes of the span',
    );
    await noProblem(page);
    await picture(page, 'trace');

    await page.getByTestId('waterfall').focus();
    await page.keyboard.press('Home');
    await textThat(page.getByTestId('span-detail').locator('h2'), /\S/, 'the detail follows the keys');
    await page.keyboard.press('Enter');
    await page.getByTestId('span-detail').waitFor({ state: 'detached' });
    if ((await bars.count()) > 1) {
      const many = await bars.count();
      await page.getByRole('button', { name: 'Fold' }).first().click();
      await page.waitForFunction((before) => document.querySelectorAll('[data-testid="span"]').length < before, many);
    }
    await page.getByRole('link', { name: 'Logs of this trace' }).click();
    await page.waitForURL(/\/logs\?.*trace_id/);
    await page.getByTestId('log-row').or(page.getByTestId('empty')).first().waitFor();
    await noProblem(page);
  });
});

test('a trace that does not exist says so', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto('/trace/00000000000000000000000000abcdef');
      await textThat(
        page.getByTestId('problem').or(page.getByTestId('empty')),
        /not found|no spans/i,
        'the missing trace',
      );
    },
    { expected: [/status of 404/] },
  );
});

test('SQL runs an example and gives it as CSV', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/sql');
    await page.getByRole('button', { name: 'Errors by service' }).click();
    await textThat(page.getByTestId('sql-count'), /[1-9]\d* rows? in/, 'the number of rows');
    await textThat(page.getByTestId('grid'), /business_service[\s\S]*\d/, 'the answer');
    await noProblem(page);
    await picture(page, 'sql');
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download as CSV' }).click(),
    ]);
    const chunks = [];
    for await (const chunk of await file.createReadStream()) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString(), /^business_service,service_name,rows,errors\r\n\S+/);
  });
});

test('the keyboard leads through the pages', async () => {
  await inPage(browser, async (page) => {
    await page.goto('/?from=now-15m');
    await page.getByTestId('summary').waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await page.waitForURL(/\/logs\?from=now-15m/);
    await page.locator('.cm-content').waitFor();
    await page.keyboard.press('/');
    assert.ok(
      await page.locator('.cm-content').evaluate((field) => field === document.activeElement),
      'the query has the focus',
    );
    await page.getByTestId('log-row').first().waitFor();
    await page.keyboard.press('End');
    await page.keyboard.type(' |= "e"');
    await page.keyboard.press('Enter');
    await page.waitForURL((address) => address.searchParams.get('q')?.endsWith('|= "e"') ?? false);
    await page.goto(`${page.url()}&refresh=5`);
    await page.locator('.cm-content').click();
    await page.keyboard.press('End');
    await page.keyboard.type(' != "yy"');
    await page.waitForTimeout(6_000);
    assert.match(await page.locator('.cm-content').innerText(), /!= "yy"$/, 'a refresh leaves the draft');
    assert.ok(
      await page.locator('.cm-content').evaluate((field) => field === document.activeElement),
      'a refresh leaves the focus',
    );
    await page.getByTestId('time-range').click();
    await page.getByRole('button', { name: 'Last 5 minutes' }).click();
    await page.waitForURL(/from=now-5m/);
  });
});

for (const [width, height] of [
  [1024, 768],
  [390, 844],
]) {
  test(`the pages fit a screen of ${width} by ${height}`, async () => {
    await inPage(
      browser,
      async (page) => {
        for (const path of [
          '/',
          '/logs',
          '/charts',
          '/cardinality',
          '/traces',
          '/pipelines',
          '/pipelines/try',
          '/quarantine',
          '/quarantine/try',
          '/catalogue',
          '/scorecard',
          '/sql',
        ]) {
          await page.goto(path);
          await page.waitForTimeout(400);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(overflow <= 0, `${path} is ${overflow} px too wide`);
        }
      },
      { size: { width, height }, scheme: 'dark' },
    );
  });
}
