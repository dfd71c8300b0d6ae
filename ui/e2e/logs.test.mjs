// The Logs page in a browser: against a running Tyto with the data of `tyto demo`, and, where it must be about many lines or
// about what the server may not have yet, against answers that the test gives.
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BASE, inPage, launch, noProblem, picture, textThat } from './browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const number = (text) => Number(text.replace(/[^\d.]/g, ''));
const search = (page) => page.getByRole('textbox', { name: 'Search' });
const q = (page) => new URL(page.url()).searchParams.get('q') ?? '';
const RECENT = 'from=now-15m';

/** A place of a component's name among the values of the open field `component`. */
const values = (page) => page.getByTestId('facet-value');

test('words find rows, say what they mean, and become LogQL on request', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/logs?${RECENT}`);
    await page.getByTestId('log-row').first().waitFor();
    await search(page).click();
    await page.keyboard.type('Payment -declined "received from"');
    await textThat(page.getByTestId('meaning'), /Read as words[\s\S]*\(\?i\)Payment/, 'the LogQL of the words');
    await page.keyboard.press('Enter');
    await page.waitForURL((address) => address.searchParams.get('q') === 'Payment -declined "received from"');
    const rows = page.getByTestId('log-row');
    await page.waitForFunction(() => {
      const shown = [...document.querySelectorAll('[data-testid="log-row"]')];
      return shown.length > 0 && shown.every((row) => /payment/i.test(row.textContent) && row.querySelector('mark'));
    });
    assert.ok((await rows.count()) > 0);
    await noProblem(page);
    await page.getByRole('button', { name: 'Edit as LogQL' }).click();
    await page.waitForURL((address) => address.searchParams.get('q')?.startsWith('{business_service') ?? false);
    assert.equal(q(page), '{business_service=~".+"} |~ "(?i)Payment" !~ "(?i)declined" |= "received from"');
    await textThat(page.getByTestId('meaning'), /Read as LogQL/, 'the language');
    await rows.first().waitFor();
    await noProblem(page);
  });
});

test('fields narrow the search to a value, leave one out, and take it back', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/logs?${RECENT}`);
    const component = page
      .locator('section')
      .filter({ has: page.getByTestId('facet').getByText('component', { exact: true }) });
    const first = component.getByTestId('facet-value').first();
    await first.waitFor();
    const name = (await first.locator('span').first().innerText()).trim();
    assert.ok(number(await first.locator('small').innerText()) > 0, 'values have counts');
    await first.getByRole('button').first().click();
    await page.waitForURL((address) => address.searchParams.get('q') === `component:${name}`);
    await page.waitForFunction((wanted) => {
      const shown = [...document.querySelectorAll('[data-testid="log-row"]')];
      return shown.length > 0 && shown.every((row) => row.textContent.includes(wanted));
    }, name);
    assert.ok((await component.getByTestId('facet-value').count()) > 1, 'the other values stay to be chosen');
    await component.getByRole('button', { name: `Leave out ${name}` }).click();
    await page.waitForURL((address) => address.searchParams.get('q') === `-component:${name}`);
    await component.getByRole('button', { name: `Let in again ${name}` }).click();
    await page.waitForURL((address) => !address.searchParams.get('q'));
    await page.getByLabel('Find a field').fill('trace');
    await page.getByTestId('facet').filter({ hasText: 'trace_id' }).click();
    await textThat(page.getByTestId('facets'), /From the newest [\d ]+ rows, not counted/, 'what was sampled is said');
    await noProblem(page);
  });
});

/** Pods come and go: one that just started has few lines before any of its lines. */
async function busiestPod(component) {
  const query = `topk(1, sum by (k8s_pod_name) (count_over_time({component="${component}"}[15m])))`;
  const answer = await fetch(`${BASE}/loki/api/v1/query?${new URLSearchParams({ query })}`);
  return (await answer.json()).data.result[0].metric.k8s_pod_name;
}

test('lines around a line come in place, with more on request', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/logs?${RECENT}&q=k8s_pod_name:${await busiestPod('checkout-api')}`);
    await page.getByTestId('log-row').nth(3).waitFor();
    for (let at = 0; at < 4; at++) {
      await page.keyboard.press('j');
      await page.waitForTimeout(120);
    }
    const asked = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    assert.match(asked ?? '', /Details of the row/, 'j moves to a row');
    const top = () => page.locator('[data-marked="true"]').evaluate((row) => row.getBoundingClientRect().top);
    const before = await page.evaluate(
      () => document.activeElement.closest('[data-testid="log-row"]').getBoundingClientRect().top,
    );
    await page.keyboard.press('c');
    await textThat(page.getByTestId('around-before'), /50 lines before|no more within/, 'the lines before');
    await textThat(page.getByTestId('around-after'), /lines? after/, 'the lines after');
    assert.ok(Math.abs((await top()) - before) < 40, `the row stays where it is: ${await top()} against ${before}`);
    const shown = page.getByTestId('around-before').getByTestId('around-row');
    assert.equal(await shown.count(), 50);
    await picture(page, 'logs-around');
    await page.getByRole('button', { name: 'More before' }).click();
    await textThat(page.getByTestId('around-before'), /100 lines before|no more within/, 'more of them');
    assert.ok((await shown.count()) > 50);
    await page.keyboard.press('Escape');
    await page.getByTestId('around').waitFor({ state: 'detached' });
    await noProblem(page);
  });
});

test('columns, JSON, order and a link to one row are in the address', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/logs?${RECENT}&q=payment received`);
    await page.getByTestId('log-row').first().getByRole('button').first().click();
    const detail = page.getByTestId('log-detail');
    await detail.getByRole('button', { name: 'Show payment_currency as a column' }).click();
    await page.waitForURL(/cols=source%2Cpayment_currency/);
    await textThat(page.getByTestId('log-row').first(), /[A-Z]{3}/, 'the column');
    await textThat(detail.getByTestId('owner'), /payments[\s\S]*checkout/, 'whose it is');
    assert.match(
      (await detail.getByRole('link', { name: 'Metrics' }).getAttribute('href')) ?? '',
      /business_service=payments/,
    );
    assert.match(
      (await detail.getByRole('link', { name: 'Open the trace' }).getAttribute('href')) ?? '',
      /\/trace\/[0-9a-f]{32}/,
    );
    await page.getByTestId('order').click();
    await page.waitForURL(/order=old/);
    await page.waitForFunction(() => {
      const times = [...document.querySelectorAll('[data-testid="log-row"] time')].map((time) => time.textContent);
      return times.length > 1 && times.every((time, at) => at === 0 || time >= times[at - 1]);
    });
    await page.getByText('JSON', { exact: true }).click();
    await page.waitForURL(/view=json/);
    await textThat(
      page.getByTestId('log-row').first(),
      /"time"[\s\S]*"stream"[\s\S]*"business_service"/,
      'the whole row as JSON',
    );
    await noProblem(page);
  });
});

test('searches are saved under a name, and all rows are exported', async () => {
  await inPage(browser, async (page) => {
    await page.goto(`/logs?${RECENT}&q=payment received`);
    await page.getByTestId('log-row').first().waitFor();
    await page.getByTestId('saved').click();
    await page.getByLabel('Name of the search').fill('Money in');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByText('Money in').waitFor();
    await page.keyboard.press('Escape');
    await page.goto(`/logs?${RECENT}`);
    await page.getByTestId('saved').click();
    await page.getByRole('dialog').getByText('Money in').click();
    await page.waitForURL((address) => address.searchParams.get('q') === 'payment received');
    await page.getByRole('button', { name: 'Export' }).click();
    await page.getByText('NDJSON', { exact: true }).click();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export as NDJSON' }).click(),
    ]);
    const chunks = [];
    for await (const chunk of await file.createReadStream()) chunks.push(chunk);
    const rows = Buffer.concat(chunks)
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.ok(rows.length > 0 && rows.every(({ line }) => /payment/i.test(line)), 'every row is in the file');
    assert.equal(
      number(
        await textThat(page.getByTestId('export-state'), /rows,.*in the file/, 'what was written').then(
          (text) => text.split(' rows')[0],
        ),
      ),
      rows.length,
    );
    await page.getByText('Parquet', { exact: true }).click();
    const [parquet] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export as Parquet' }).click(),
    ]);
    const read = await parquetReadObjects({ file: await asyncBufferFromFile(await parquet.path()) });
    assert.deepEqual(
      read.map(({ line }) => line),
      rows.map(({ line }) => line),
      'the same rows as Parquet',
    );
    await noProblem(page);
  });
});

const LABELS = { business_service: 'payments', component: 'checkout' };
const stream = (values) => ({ stream: LABELS, values });

test('live tail follows 5 000 lines a second, stands still while it is read, and says what is missing', async () => {
  await inPage(browser, async (page) => {
    let sockets = 0;
    let sent = 0;
    let paused = false;
    const starts = [];
    await page.routeWebSocket(/\/loki\/api\/v1\/tail/, (socket) => {
      sockets++;
      starts.push(new URL(socket.url()).searchParams.get('start'));
      const mine = sockets;
      const timer = setInterval(() => {
        if (paused) return;
        const values = Array.from({ length: 250 }, () => [
          String(BigInt(Date.now()) * 1_000_000n + BigInt(sent)),
          `line ${++sent} of many, with a text as long as lines often are: ${'x'.repeat(120)}`,
        ]);
        socket.send(
          JSON.stringify({
            streams: [stream(values)],
            dropped_entries: mine === 1 && sent === 250 ? [{ timestamp: '1' }, { timestamp: '2' }] : null,
          }),
        );
      }, 50);
      // Nobody tells of the end when the page is closed.
      timer.unref();
      socket.onClose(() => clearInterval(timer));
      setTimeout(() => {
        if (mine !== 1) return;
        clearInterval(timer);
        void socket.close({ code: 1011 });
      }, 4000);
    });
    await page.goto(`/logs?${RECENT}&live=1`);
    await textThat(page.getByTestId('live-state'), /Live/, 'it is connected');
    // What the page's own thread works, whatever else the machine does.
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const worked = async () => {
      const { metrics } = await session.send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'TaskDuration').value;
    };
    const before = { sent, worked: await worked() };
    await textThat(page.getByTestId('live-state'), /2 lines were left out by the server/, 'what the server dropped');
    await page.waitForFunction(
      () =>
        Number(
          document
            .querySelector('[data-testid="live-state"]')
            ?.textContent.match(/([\d ]+) lines so far/)?.[1]
            .replace(/\D/g, ''),
        ) > 25_000,
    );
    assert.ok(sockets >= 2, 'it connected again');
    assert.ok(BigInt(starts[1]) > BigInt(starts[0]), 'from where it was');
    await textThat(page.getByTestId('live-state'), /the newest 10 000 are kept/, 'the bound is said');
    const seconds = (sent - before.sent) / 5000;
    const share = ((await worked()) - before.worked) / seconds;
    assert.ok(share < 0.9, `a second of 5 000 lines costs less than a second of work: ${share}`);
    assert.ok((await page.locator('[data-item]').count()) < 120, 'only what is in sight is drawn');

    await page.getByTestId('log-rows').evaluate((box) => box.scrollTo(0, 3000));
    await textThat(page.getByTestId('waiting'), /\d+ new lines/, 'new lines are counted');
    const still = await page.getByTestId('log-row').nth(12).innerText();
    await page.waitForTimeout(600);
    assert.equal(await page.getByTestId('log-row').nth(12).innerText(), still, 'the list stands still');
    paused = true;
    await page.waitForTimeout(300);
    await page.getByTestId('waiting').click();
    await page.waitForFunction(
      (last) => document.querySelector('[data-testid="log-row"]')?.textContent.includes(`line ${last} of`),
      sent,
    );
    await textThat(page.getByTestId('live-state'), /Live/, 'it goes on');
    const lines = await page.getByTestId('log-row').allInnerTexts();
    const numbers = lines.map((text) => Number(text.match(/line (\d+) of/)?.[1]));
    assert.deepEqual(
      numbers,
      [...numbers.keys()].map((at) => sent - at),
      'no line twice, none missing',
    );
    await noProblem(page);
  });
});

test('a Tyto without live tail says so', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.route(/\/loki\/api\/v1\/tail/, (route) =>
        route.fulfill({ status: 501, body: 'cannot follow rows yet' }),
      );
      await page.routeWebSocket(/\/loki\/api\/v1\/tail/, (socket) => void socket.close({ code: 1011 }));
      await page.addInitScript(() => {
        const Real = window.WebSocket;
        // A connection that never opens, as a server without the endpoint gives.
        window.WebSocket = class extends Real {
          set onopen(_) {}
        };
      });
      await page.goto(`/logs?${RECENT}&live=1`);
      await textThat(page.getByTestId('problem'), /cannot do this yet[\s\S]*cannot follow rows yet/, 'the refusal');
      await page.getByRole('button', { name: 'Show the rows without following them' }).click();
      await page.getByTestId('log-row').first().waitFor();
    },
    { expected: [/status of 501/, /WebSocket/] },
  );
});

test('5 000 rows of 4 KiB are scrolled without freezing', async () => {
  await inPage(browser, async (page) => {
    const words = 'The quick brown owl reads every line of the log and finds the one that matters. ';
    await page.route(/\/loki\/api\/v1\/query_range/, async (route) => {
      const params = new URL(route.request().url()).searchParams;
      if (params.get('step'))
        return route.fulfill({ json: { status: 'success', data: { resultType: 'matrix', result: [] } } });
      const end = BigInt(params.get('end'));
      const values = Array.from({ length: 5000 }, (_, at) => [
        String(end - BigInt(at + 1) * 1000n),
        `row ${at} ${words.repeat(51)}`.slice(0, 4096),
      ]);
      return route.fulfill({ json: { status: 'success', data: { resultType: 'streams', result: [stream(values)] } } });
    });
    await page.goto(`/logs?${RECENT}&wrap=1`);
    await page.getByTestId('log-row').first().waitFor();
    const worst = await page.getByTestId('log-rows').evaluate(async (box) => {
      let slowest = 0;
      let last = performance.now();
      for (let step = 0; step < 40; step++) {
        box.scrollTop += step < 30 ? 900 : 200_000;
        await new Promise((done) => requestAnimationFrame(done));
        slowest = Math.max(slowest, performance.now() - last);
        last = performance.now();
      }
      return slowest;
    });
    assert.ok(worst < 1000, `the slowest step takes less than a second on a busy machine: ${worst} ms`);
    assert.ok((await page.locator('[data-item]').count()) < 60, 'only what is in sight is drawn');
    await page.getByTestId('log-rows').evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await page.waitForFunction(() =>
      [...document.querySelectorAll('[data-testid="log-row"]')].some((row) => row.textContent.includes('row 4999 ')),
    );
    await noProblem(page);
  });
});

const PATTERNS = {
  patterns: [
    {
      id: 'a',
      pattern: 'GET <_> done',
      example: 'GET /v1/home done',
      services: ['player-api'],
      levels: { info: 9000 },
      count: 9000,
      count_before: 8990,
      change: 'steady',
      samples: [
        [1, 4000],
        [2, 5000],
      ],
    },
    {
      id: 'b',
      pattern: 'table <_> not found',
      example: 'table markers not found',
      services: ['markers-api'],
      levels: { error: 40 },
      count: 40,
      count_before: 0,
      change: 'new',
      samples: [
        [1, 0],
        [2, 40],
      ],
    },
    {
      id: 'c',
      pattern: 'cache warmed in <_> ms',
      example: 'cache warmed in 7 ms',
      services: ['ranker'],
      levels: { debug: 0 },
      count: 0,
      count_before: 31,
      change: 'vanished',
      samples: [
        [1, 0],
        [2, 0],
      ],
    },
  ],
  sampled: false,
  lines: 9040,
  lines_before: 9021,
};

test('patterns tell what is new, and narrow the rows; a Tyto without them says so', async () => {
  await inPage(
    browser,
    async (page) => {
      let status = 200;
      await page.route(/\/api\/tyto\/v1\/patterns/, (route) =>
        route.fulfill(status === 200 ? { json: PATTERNS } : { status, json: { error: 'no such address' } }),
      );
      await page.goto(`/logs?${RECENT}&view=patterns`);
      await textThat(
        page.getByTestId('pattern-summary'),
        /3 kinds of message in 9 040 rows: 1 new, 1 vanished, 1 steady/,
        'the sentence on top',
      );
      await textThat(page.getByTestId('pattern').first(), /New[\s\S]*table[\s\S]*not found/, 'what is new comes first');
      await noProblem(page);
      await picture(page, 'logs-patterns');
      await page.getByRole('button', { name: 'Without rows of this pattern' }).last().click();
      await page.waitForURL(
        (address) => address.searchParams.get('q') === '{business_service=~".+"} !> "GET <_> done"',
      );
      assert.equal(new URL(page.url()).searchParams.get('view'), null, 'the rows show');
      status = 404;
      await page.goto(`/logs?${RECENT}&view=patterns`);
      await textThat(page.getByTestId('empty'), /does not find patterns/, 'it is said');
    },
    { expected: [/status of 404/] },
  );
});

test('the Logs page fits a phone, with its fields in a drawer', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto(`/logs?${RECENT}`);
      await page.getByTestId('log-row').first().waitFor();
      await page.getByTestId('fields').click();
      await page.getByRole('dialog', { name: 'Fields' }).getByTestId('facet').first().waitFor();
      await values(page).first().waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByTestId('log-row').first().getByRole('button').first().click();
      await page.getByTestId('log-detail').waitFor();
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${overflow} px too wide`);
      await noProblem(page);
    },
    { size: { width: 390, height: 844 }, scheme: 'dark' },
  );
});
