// The trace pages in a browser: against a running Tyto with the data of `tyto demo` and one trace of ten thousand spans that is
// sent to it, and, where the pages ask in TraceQL, against answers in the form that Tempo documents.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { BASE, coloursOf, inPage, launch, noProblem, picture, textThat } from './browser.mjs';

const SPANS = 10_000;
const SERVICES = ['edge', 'catalog', 'player', 'search', 'recommender', 'profile', 'billing', 'cache'];
/**
 * What a frame of scrolling by fifteen rows, and a fold, may cost: processor time of the page's main thread, as a multiple of what a plain
 * table of a hundred rows costs in the same browser in between, so that a busy or slow machine changes nothing. Measured: 0.5 to 1.1, p95 1.1 to 1.5
 * tables for frames, 0.9 to 1.6 for a fold; a table is 10 to 14 ms on two shared cores, of which the measuring itself takes one.
 */
const FRAME_MEDIAN = 1.6;
const FRAME_P95 = 2.5;
const FOLD_MEDIAN = 2.3;
const FOLDS = 10;
const FRAMES = 60;

let browser;
let large;
let found;
before(async () => {
  browser = await launch();
  large = await sendLargeTrace();
  const now = Math.floor(Date.now() / 1000);
  const search = async (tags) => {
    const range = `start=${now - 3300}&end=${now + 5}`;
    const answer = await fetch(`${BASE}/tempo/api/search?limit=200&${range}&tags=${encodeURIComponent(tags)}`);
    return (await answer.json()).traces;
  };
  const all = [...(await search('status=error')), ...(await search(''))];
  const demo = all.filter(({ rootTraceName }) => !/^(step|op) \d+$/.test(rootTraceName));
  found = [...new Map(demo.map((trace) => [trace.traceID, trace])).values()];
});
after(() => browser?.close());

const spanId = (index) => (index + 1).toString(16).padStart(16, '0');

/** Every span has five below it, which run one after the other; one in 997 fails. */
async function sendLargeTrace() {
  const traceId = randomBytes(16).toString('hex');
  const began = BigInt(Date.now() - 20_000) * 1_000_000n;
  const places = [[0, 10_000_000_000]];
  for (let index = 1; index < SPANS; index++) {
    const [from, to] = places[Math.floor((index - 1) / 5)];
    const width = (to - from) / 6;
    const start = from + ((index - 1) % 5) * width + width * 0.1;
    places.push([start, start + width]);
  }
  const byService = new Map(SERVICES.map((name) => [name, []]));
  places.forEach(([from, to], index) => {
    const failed = index % 997 === 996;
    byService.get(SERVICES[(index * 7) % SERVICES.length]).push({
      traceId,
      spanId: spanId(index),
      parentSpanId: index ? spanId(Math.floor((index - 1) / 5)) : '',
      name: `step ${index % 17}`,
      kind: 1,
      startTimeUnixNano: String(began + BigInt(Math.floor(from))),
      endTimeUnixNano: String(began + BigInt(Math.floor(to))),
      attributes: [{ key: 'item', value: { intValue: String(index) } }],
      status: failed ? { code: 2, message: `item ${index} is gone` } : {},
    });
  });
  const resourceSpans = [...byService].map(([name, spans]) => ({
    resource: { attributes: [{ key: 'service.name', value: { stringValue: name } }] },
    scopeSpans: [{ spans }],
  }));
  const sent = await fetch(`${BASE}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans }),
  });
  assert.equal(sent.status, 200, await sent.text());
  return traceId;
}

const failedTrace = () => {
  const failed = found.filter(({ errorCount }) => errorCount > 1).sort((a, b) => b.spanCount - a.spanCount);
  assert.ok(failed.length, 'a trace of the demo failed');
  return failed[0];
};

/** Answers every search in TraceQL with these traces, and remembers what was asked. */
async function answerSearches(page, traces) {
  const asked = [];
  await page.route('**/tempo/api/search?*', (route) => {
    asked.push(new URL(route.request().url()).searchParams.get('q'));
    return route.fulfill({ json: { traces, metrics: { inspectedSpans: '1' } } });
  });
  return asked;
}

const asTempo = ({
  traceID,
  rootServiceName,
  rootTraceName,
  startTimeUnixNano,
  durationMs,
  spanCount,
  errorCount,
}) => ({
  traceID,
  rootServiceName,
  rootTraceName,
  startTimeUnixNano,
  durationMs,
  serviceStats: {
    [rootServiceName]: { spanCount: spanCount - 1, errorCount },
    'another-service': { spanCount: 1 },
  },
});

test('the form writes TraceQL, says what it means, and follows it back', async () => {
  await inPage(browser, async (page) => {
    const asked = await answerSearches(page, found.slice(0, 40).map(asTempo));
    await page.goto('/traces?from=now-1h');
    await page.getByTestId('trace-list').getByRole('link').first().waitFor();
    await page.getByRole('combobox', { name: 'Service' }).fill('checkout-api');
    await page.keyboard.press('Escape');
    await page.getByLabel('Attributes', { exact: true }).fill('http.response.status_code>=500');
    await page.getByLabel('At least', { exact: true }).fill('20');
    await textThat(
      page.getByTestId('meaning'),
      /one span was in the service checkout-api and has http\.response\.status_code that is at least 500, and that took at least 20ms/,
      'the sentence',
    );
    await page.getByTestId('run').click();
    const query =
      '{ resource.service.name = "checkout-api" && .http.response.status_code >= 500 && traceDuration >= 20ms }';
    await page.waitForURL((address) => address.searchParams.get('q') === query);
    assert.ok(asked.includes(query), 'the server is asked for it');
    const editor = page.getByRole('textbox', { name: 'TraceQL query' });
    assert.equal(await editor.innerText(), query);
    await editor.fill('{ status = error && name = "GET /x" }');
    await page.waitForFunction(() => document.querySelector('input[value="GET /x"]'));
    await editor.fill('{ status = error } | count() > 3');
    await textThat(page.getByTestId('meaning'), /more than the form can/, 'what the form cannot say');
    assert.ok(await page.getByRole('combobox', { name: 'Operation' }).isDisabled());
    await page.keyboard.press('Enter');
    await page.waitForURL((address) => address.searchParams.get('q') === '{ status = error } | count() > 3');
    await noProblem(page);
  });
});

test('the picture of the durations is dragged over and clicked', async () => {
  await inPage(browser, async (page) => {
    await answerSearches(page, found.map(asTempo));
    await page.goto('/traces?from=now-1h');
    const picture = page.getByTestId('scatter').locator('.u-over');
    await picture.waitFor();
    const label = await page.getByTestId('scatter').getAttribute('aria-label');
    assert.match(label, /Durations of \d+ traces over time: half of them up to/);
    const box = await picture.boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + box.height * 0.8, { steps: 6 });
    await page.mouse.up();
    await page.waitForURL((address) => /^\d{13}$/.test(address.searchParams.get('from') ?? ''));
    assert.match(
      new URL(page.url()).searchParams.get('q'),
      /^\{ traceDuration >= [\d.]+(us|ms) && traceDuration <= [\d.]+(us|ms) \}$/,
    );
    await noProblem(page);
  });
});

test('two traces are chosen and compared, and the usual one is offered', async () => {
  const failed = failedTrace();
  const alike = found.filter(
    ({ traceID, rootServiceName, rootTraceName }) =>
      traceID !== failed.traceID &&
      rootServiceName === failed.rootServiceName &&
      rootTraceName === failed.rootTraceName,
  );
  assert.ok(alike.length, 'there are others of its kind');
  await inPage(browser, async (page) => {
    await answerSearches(page, [failed, ...alike].map(asTempo));
    await page.goto('/traces?from=now-1h');
    const rows = page.getByTestId('trace-list').getByRole('checkbox');
    await rows.nth(1).waitFor();
    await rows.nth(0).check();
    await rows.nth(1).check();
    await page.getByRole('button', { name: 'Compare the two' }).click();
    await page.waitForURL(/\/trace\/[0-9a-f]+\?.*view=compare/);
    await textThat(page.getByTestId('comparison'), /This trace took .*, the other/, 'the comparison in words');
    await page.goto(`/trace/${failed.traceID}?view=compare`);
    await page
      .getByTestId('alike')
      .getByRole('button', { name: /^A usual one/ })
      .click();
    await page.waitForURL(/with=[0-9a-f]{32}/);
    await page.getByTestId('pair').first().waitFor();
    await textThat(page.getByTestId('comparison'), /more failed span/, 'what is unusual');
    await textThat(page.getByTestId('pairs'), /fails here/, 'the spans that fail');
    await noProblem(page);
    await picture(page, 'trace-compare');
  });
});

test('what failed traces have in common is told, and leads to them', async () => {
  await inPage(browser, async (page) => {
    await answerSearches(
      page,
      found
        .slice(0, 100)
        .concat(found.filter(({ errorCount }) => errorCount))
        .map(asTempo),
    );
    await page.goto('/traces?from=now-1h&view=differs');
    await page.getByTestId('difference').first().waitFor({ timeout: 60_000 });
    await textThat(page.getByTestId('differences'), /failed, \d+ did not/, 'how many there are');
    await textThat(page.getByTestId('difference').first(), /(have it|of the other)/, 'a difference in words');
    await noProblem(page);
    await picture(page, 'traces-differ');
    await page.getByRole('button', { name: 'Only traces with it' }).first().click();
    await page.waitForURL((address) => /=/.test(address.searchParams.get('q') ?? ''));
  });
});

test('many traces are one flame graph', async () => {
  await inPage(browser, async (page) => {
    await answerSearches(page, found.slice(0, 60).map(asTempo));
    await page.goto('/traces?from=now-1h&view=flame');
    await page.getByTestId('flame-box').nth(3).waitFor({ timeout: 60_000 });
    await textThat(page.getByTestId('sample'), /All \d+ traces that were found/, 'what it is made of');
    await picture(page, 'traces-flame');
    const boxes = page.getByTestId('flame-box');
    // The widest below the first row: some are as narrow as what was sent makes them.
    const widest = await boxes.evaluateAll((all) => {
      const widths = all.map((box) => (box.ariaLevel === '1' ? 0 : box.getBoundingClientRect().width));
      return widths.indexOf(Math.max(...widths));
    });
    const name = await boxes.nth(widest).getAttribute('aria-label');
    await boxes.nth(widest).click();
    await textThat(page.getByTestId('frame'), /span/, 'the box in words');
    assert.equal(await page.locator('[role="treeitem"][aria-selected="true"]').getAttribute('aria-label'), name);
    await page.getByTestId('flame').focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    assert.notEqual(await page.locator('[role="treeitem"][aria-selected="true"]').getAttribute('aria-label'), name);
    await noProblem(page);
  });
});

test('from a failed trace to its cause, its logs and its metrics', async () => {
  const failed = failedTrace();
  await inPage(browser, async (page) => {
    await page.goto(`/trace/${failed.traceID}`);
    await textThat(page.getByTestId('cause'), /spans failed[\s\S]*began in/, 'where the failure began');
    await textThat(page.getByTestId('path'), /What its .* went into/, 'where the time went');
    await page.getByTestId('cause').getByRole('button').click();
    const detail = page.getByTestId('span-detail');
    await textThat(detail.getByTestId('identity'), /\S+ › \S+ › \S+/, 'whose it is');
    await textThat(detail.getByTestId('span-logs'), /\d\d:\d\d:\d\d\.\d{3}/, 'its log lines');
    await textThat(detail.getByTestId('span-metrics'), /(Requests|CPU)[\s\S]*\d/, 'the metrics of its service');
    await noProblem(page);
    await picture(page, 'trace');
    await detail.getByTestId('span-logs').getByRole('listitem').first().getByRole('link').click();
    await page.waitForURL(/\/logs\?.*line=/);
    await page.getByTestId('log-detail').waitFor();
    await page.getByTestId('log-detail').getByRole('link', { name: 'Open the trace' }).click();
    await page.waitForURL(new RegExp(`/trace/${failed.traceID}.*span=`));
    await page.getByTestId('span-detail').waitFor();
    await noProblem(page);
  });
});

test('the flame graph of one trace leads back to its spans', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto(`/trace/${failedTrace().traceID}?view=flame`);
      await page.getByTestId('flame-box').nth(1).waitFor();
      await picture(page, 'trace-flame');
      await page.getByRole('button', { name: /in the waterfall/ }).click();
      await page.waitForURL(/span=[0-9a-f]{16}/);
      await page.getByTestId('span-detail').waitFor();
      await noProblem(page);
    },
    { scheme: 'dark' },
  );
});

/** Gives what says how many milliseconds of the main thread a step took, with the frame that it led to. */
async function costOf(page) {
  const tools = await page.context().newCDPSession(page);
  await tools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const takenMs = async () => {
    const { metrics } = await tools.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
  };
  return async (step) => {
    const before = await takenMs();
    await page.evaluate(step);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
    return (await takenMs()) - before;
  };
}

const share = (costs, part) => [...costs].sort((a, b) => a - b)[Math.floor((costs.length - 1) * part)];

const scrollOn = () => (document.querySelector('[data-testid="waterfall"]').scrollTop += 400);
const foldFirst = () => document.querySelector('[data-testid="span"] button').click();

/** The measure of the machine: four hundred cells, written anew. */
function drawTable() {
  const box = document.createElement('div');
  box.style.cssText = 'position:fixed;top:0;left:0;width:600px;height:400px;overflow:hidden;z-index:9';
  for (let row = 0; row < 100; row++) {
    const line = box.appendChild(document.createElement('div'));
    for (let cell = 0; cell < 4; cell++)
      line.appendChild(document.createElement('span')).textContent = `cell ${row} ${cell} ${performance.now()}`;
  }
  document.getElementById('measure')?.remove();
  box.id = 'measure';
  document.body.append(box);
}

test('ten thousand spans scroll, fold, and are searched', async () => {
  await inPage(
    browser,
    async (page) => {
      await page.goto(`/trace/${large}`);
      await textThat(page.locator('header dl'), /10 000/, 'the number of spans');
      const spans = page.getByTestId('span');
      await spans.first().waitFor();
      assert.ok((await spans.count()) < 120, 'only what is in sight is drawn');
      const cost = await costOf(page);
      const [scrolled, folded, tables] = [[], [], []];
      for (let at = 0; at < FRAMES; at++) {
        scrolled.push(await cost(scrollOn));
        tables.push(await cost(drawTable));
      }
      await page.getByTestId('waterfall').evaluate((box) => box.scrollTo(0, 0));
      for (let at = 0; at < FOLDS; at++) {
        folded.push(await cost(foldFirst));
        tables.push(await cost(drawTable));
      }
      const table = share(tables, 0.5);
      const said = [scrolled, folded].map((all) => [0.5, 0.95].map((part) => share(all, part)));
      const words = said.map((all) =>
        all.map((ms) => `${ms.toFixed(1)} ms (${(ms / table).toFixed(2)})`).join(', p95 '),
      );
      console.log(`10 000 spans: a frame ${words[0]}; a fold ${words[1]}; a plain table ${table.toFixed(1)} ms`);
      const [[frame, slowFrame], [fold]] = said;
      assert.ok(frame < FRAME_MEDIAN * table, `half of the frames take less than ${FRAME_MEDIAN} tables: ${words[0]}`);
      assert.ok(slowFrame < FRAME_P95 * table, `95 of 100 frames take less than ${FRAME_P95} tables: ${words[0]}`);
      assert.ok(fold < FOLD_MEDIAN * table, `half of the folds take less than ${FOLD_MEDIAN} tables: ${words[1]}`);

      await page.evaluate(() => document.getElementById('measure').remove());
      await page.getByLabel('Find in spans', { exact: true }).fill('item=4985');
      await textThat(page.getByTestId('hits'), /^1$/, 'one span');
      await page.keyboard.press('Enter');
      await textThat(page.getByTestId('span-detail'), /item[\s\S]*4985[\s\S]*integer/, 'a typed attribute');
      await page.keyboard.press('Escape');
      await page.getByTestId('waterfall').focus();
      await page.keyboard.press('2');
      await textThat(page.getByTestId('levels'), /2 of 7 levels/, 'two levels');
      assert.equal(await spans.count(), 6);
      await page.keyboard.press('0');
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="span"]').length > 6);
      await page.keyboard.press('e');
      const failed = () => page.locator('[data-testid="span"][aria-selected="true"]').getAttribute('aria-label');
      const first = await failed();
      assert.match(first, /failed/);
      await page.keyboard.press('e');
      assert.notEqual(await failed(), first, 'e goes to the next');
      await page.getByText('Errors', { exact: true }).last().click();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="span"]').length < 60);
      await page.keyboard.press('c');
      await page.getByTestId('span').first().waitFor();
      assert.ok((await coloursOf(page, '[aria-label^="The whole trace"] canvas')) > 5, 'the minimap is drawn');
      await noProblem(page);
      await picture(page, 'trace-large');
    },
    { scheme: 'dark' },
  );
});

test('what cannot be trusted in a trace is said', async () => {
  const began = BigInt(Date.now() - 60_000) * 1_000_000n;
  const at = (ms) => String(began + BigInt(ms) * 1_000_000n);
  const span = (id, parent, kind, from, to) => ({
    traceId: 'ab'.repeat(16),
    spanId: id.padStart(16, '0'),
    parentSpanId: parent && parent.padStart(16, '0'),
    name: `span ${id}`,
    kind,
    startTimeUnixNano: at(from),
    endTimeUnixNano: at(to),
  });
  const spans = [
    span('a', '', 2, 0, 100),
    span('b', 'a', 3, 10, 60),
    span('c', 'b', 2, 40, 80),
    span('d', 'a', 1, 70, 300),
    span('e', 'ff', 1, 20, 30),
  ];
  await inPage(browser, async (page) => {
    await page.route('**/tempo/api/v2/traces/*', (route) =>
      route.fulfill({
        json: { trace: { resourceSpans: [{ scopeSpans: [{ spans }] }] }, status: 'PARTIAL', message: 'too many spans' },
      }),
    );
    await page.goto(`/trace/${'ab'.repeat(16)}`);
    await textThat(
      page.getByTestId('doubts'),
      /not the whole trace: too many spans[\s\S]*parent of one span has not arrived[\s\S]*clocks differ/,
      'the doubts',
    );
    const label = (name) => page.locator('[data-testid="span"]').filter({ hasText: name }).getAttribute('aria-label');
    assert.match(await label('span c'), /ends 20 ms after its parent: the clocks/);
    assert.match(await label('span d'), /ends 200 ms after its parent, which did not wait for it/);
    assert.match(await label('span e'), /its parent is missing/);
    await textThat(page.getByTestId('path'), /100 ms[\s\S]*span a/, 'the path ends with the root');
    await noProblem(page);
  });
});

test('the trace pages fit a phone', async () => {
  const failed = failedTrace();
  await inPage(
    browser,
    async (page) => {
      await answerSearches(page, found.map(asTempo));
      for (const path of [
        '/traces?from=now-1h',
        '/traces?from=now-1h&view=flame',
        '/traces?from=now-1h&view=differs',
        `/trace/${failed.traceID}`,
        `/trace/${failed.traceID}?view=flame`,
        `/trace/${failed.traceID}?view=compare&with=${large}`,
      ]) {
        await page.goto(path);
        await page.waitForTimeout(800);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(overflow <= 0, `${path} is ${overflow} px too wide`);
        await noProblem(page);
      }
    },
    { size: { width: 390, height: 844 }, scheme: 'dark' },
  );
});
