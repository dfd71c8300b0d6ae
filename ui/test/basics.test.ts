import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, errorText, getJson } from '../src/api/client';
import { readAnswer } from '../src/api/prometheus';
import { parseAddress, printAddress } from '../src/app/address';
import { alignSeries, stack } from '../src/charts/align';
import { pickLine } from '../src/charts/Legend';
import { formatBytes, formatDuration, formatNumber, formatPercent, guessUnit } from '../src/format/units';
import { firstQuery, listMetrics, seriesNames } from '../src/pages/metrics/names';
import { cellTitle, toCsv } from '../src/pages/sql/cells';
import { alignRange, bucketsOf, niceStep, resolveInstant, resolveRange } from '../src/time/range';
import { isoNs } from '../src/format/time';

describe('requests', () => {
  afterEach(() => vi.unstubAllGlobals());
  const answers = (status: number, body: string) =>
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status })));

  it.each([
    ['{"status":"error","errorType":"bad_data","error":"parse error"}', 'parse error'],
    ['{"error":{"code":"invalid","what":"cannot plan"}}', 'cannot plan'],
    ['{"message":"too busy"}', 'too busy'],
    ['plain words\n', 'plain words'],
    ['<html>proxy</html>', undefined],
    ['', undefined],
  ])('finds the sentence in %s', (body, text) => {
    expect(errorText(body)).toBe(text);
  });
  it("turns a refusal into an error with the server's words", async () => {
    answers(422, '{"status":"error","error":"too many points"}');
    await expect(getJson('/x')).rejects.toMatchObject({
      status: 422,
      what: 'too many points',
      title: 'The query was refused',
    });
  });
  it('does not take a page of HTML or a failure with status 200 for an answer', async () => {
    answers(200, '<!doctype html>');
    await expect(getJson('/x')).rejects.toBeInstanceOf(ApiError);
    answers(200, '{"status":"error","error":"timeout"}');
    await expect(getJson('/x')).rejects.toMatchObject({ what: 'timeout' });
  });
  it.each([
    ['{"status":"error","errorType":"timeout","error":"cannot finish query"}', 'The query took too long'],
    ['cannot answer the query within 120s: ask for less or raise query.timeout', 'The query took too long'],
    ['{"status":"error","errorType":"unavailable","error":"starting"}', 'The server is too busy'],
  ])('tells a query that ran too long from a server that is too busy: %s', async (body, title) => {
    answers(503, body);
    await expect(getJson('/x')).rejects.toMatchObject({ title });
  });
  it('says when nobody answers', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    await expect(getJson('/x')).rejects.toMatchObject({ status: 0, title: 'Tyto cannot be reached' });
  });
});

describe('Prometheus answers', () => {
  it('reads matrices, vectors, scalars and native histograms', () => {
    const read = (data: unknown) => readAnswer({ data }, '/p').series[0];
    expect(
      read({
        resultType: 'matrix',
        result: [
          {
            metric: { a: 'b' },
            values: [
              [1, '+Inf'],
              [2, 'NaN'],
            ],
          },
        ],
      }),
    ).toEqual({ labels: { a: 'b' }, times: [1, 2], values: [Infinity, NaN] });
    expect(read({ resultType: 'vector', result: [{ metric: {}, value: [1, '2.5'] }] })?.values).toEqual([2.5]);
    expect(read({ resultType: 'scalar', result: [1, '7'] })?.values).toEqual([7]);
    expect(
      read({ resultType: 'vector', result: [{ metric: {}, histogram: [1, { count: '12', sum: '3' }] }] })?.values,
    ).toEqual([12]);
  });
  it('refuses what it cannot read', () => {
    expect(() => readAnswer({ data: { resultType: 'matrix' } }, '/p')).toThrow('no data.result');
  });
});

describe('time', () => {
  const now = Date.UTC(2026, 10, 22, 6, 0, 0);
  it.each([
    ['now', now],
    ['now-90m', now - 90 * 60e3],
    ['1795000000', 1795000000000],
    ['1795000000123', 1795000000123],
    ['2026-11-22T05:00:00Z', now - 3600e3],
    ['2026-11-22', new Date(2026, 10, 22).getTime()],
    ['2026-11-22 05:00', new Date(2026, 10, 22, 5).getTime()],
    ['yesterday', undefined],
    ['12', undefined],
  ])('%s', (text, expected) => {
    expect(resolveInstant(text, now)).toBe(expected);
  });
  it('refuses a range that runs backwards', () => {
    expect(resolveRange({ from: 'now', to: 'now-1h' }, now)).toBeUndefined();
  });
  it('chooses round steps and aligned ends', () => {
    const range = { startMs: now - 3600e3 + 7000, endMs: now + 7000 };
    expect(niceStep(range, 360)).toBe(10);
    expect(niceStep({ startMs: 0, endMs: 30 * 86400e3 }, 360)).toBe(7200);
    expect(alignRange(range, 60)).toEqual({ start: now / 1000 - 3600, end: now / 1000 });
  });
  it('counts no bucket behind the end of the range', () => {
    const seconds = (startS: number, endS: number) => bucketsOf({ startMs: startS * 1000, endMs: endS * 1000 }, 60);
    expect(seconds(0, 180)).toEqual({ first: 0, last: 120 });
    expect(seconds(30, 181)).toEqual({ first: 0, last: 180 });
    expect(seconds(30, 40)).toEqual({ first: 0, last: 0 });
  });
  it('keeps all nine digits', () => {
    expect(isoNs('1795326950224000001')).toMatch(/\.224000001Z$/);
  });
});

it('keeps queries readable in the address', () => {
  const address = { q: '{a="b"} |= "x&y"', from: '1795000000000' };
  expect(parseAddress(printAddress({ ...address, live: undefined }))).toEqual(address);
});

describe('charts', () => {
  it('puts series on one grid, with gaps for what is absent or not a number', () => {
    const series = [{ labels: {}, times: [10, 30], values: [1, NaN] }];
    expect(alignSeries(series, 0, 30, 10)).toEqual({ times: [0, 10, 20, 30], values: [[null, 1, null, null]] });
  });
  it('stacks', () => {
    expect(
      stack([
        [1, null],
        [2, 3],
      ]),
    ).toEqual([
      [1, 0],
      [3, 3],
    ]);
  });
  it('isolates a line, returns from isolation, and adds one', () => {
    const all = ['a', 'b', 'c'];
    const alone = pickLine(new Set(), all, 'b', false);
    expect([...alone]).toEqual(['a', 'c']);
    expect(pickLine(alone, all, 'b', false).size).toBe(0);
    expect([...pickLine(alone, all, 'a', true)]).toEqual(['c']);
  });
});

it.each([
  ['rate(http_server_request_duration_seconds_count[5m])', 'per_second'],
  ['histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))', 'seconds'],
  ['process_memory_usage_bytes', 'bytes'],
  ['rate(node_network_receive_bytes_total[5m])', 'bytes_per_second'],
  ['system_cpu_utilization_ratio', 'ratio'],
  ['up', 'none'],
])('unit of %s', (query, unit) => {
  expect(guessUnit(query)).toBe(unit);
});

it('writes numbers as people read them', () => {
  expect([0, 0.0123, 999, 12345, 4.56e6].map(formatNumber)).toEqual(['0', '0.0123', '999', '12.3k', '4.56M']);
  expect([0.5, 12.34, 1500, 92e3, 3.7e6].map(formatDuration)).toEqual([
    '500 µs',
    '12.3 ms',
    '1.5 s',
    '1 min 32 s',
    '1 h 2 min',
  ]);
  expect([512, 1536, 3 * 1024 ** 3].map(formatBytes)).toEqual(['512 B', '1.5 KiB', '3 GiB']);
  expect([0, 0.00001, 0.0412, 0.5].map(formatPercent)).toEqual(['0 %', '< 0.01 %', '4.12 %', '50 %']);
});

describe('metric names', () => {
  const series = (labels: Record<string, string>) => ({ labels, times: [], values: [] });
  it('names series by what tells them apart', () => {
    expect(seriesNames([series({ job: 'x', pod: 'a' }), series({ job: 'x', pod: 'b' })], 'q')).toEqual(['a', 'b']);
    expect(seriesNames([series({ a: '1', b: '1' }), series({ a: '2', b: '2' })], 'q')).toEqual([
      '{a="1", b="1"}',
      '{a="2", b="2"}',
    ]);
    expect(seriesNames([series({})], 'sum(up)')).toEqual(['sum(up)']);
    expect(seriesNames([series({ c: 'x' }), series({})], 'q')).toEqual(['x', '(none)']);
  });
  it('lists a classic histogram once, with a first query that asks for its quantile', () => {
    const [listed] = listMetrics(['d_seconds_bucket', 'd_seconds_count', 'd_seconds_sum'], new Map());
    expect(listed).toMatchObject({ name: 'd_seconds', type: 'histogram' });
    expect(listed && firstQuery(listed, 'login')).toBe(
      'histogram_quantile(0.95, sum by (le, component) (rate(d_seconds_bucket{business_service="login"}[5m])))',
    );
  });
  it('leaves a counter that only ends in _count alone', () => {
    expect(listMetrics(['db_client_connection_count'], new Map())[0]?.name).toBe('db_client_connection_count');
  });
});

const text = (name: string) => ({ name, type: 'text' });

it('writes CSV that spreadsheets read', () => {
  const csv = toCsv(
    [text('a'), text('b,c')],
    [
      ['x"y', null],
      [{ k: 1 }, 2],
    ],
  );
  expect(csv).toBe('a,"b,c"\r\n"x""y",\r\n"{""k"":1}",2\r\n');
});

it('says in a cell of nanoseconds which date that is', () => {
  expect(cellTitle('time_unix_nano', '1763800000123456789')).toBe('2025-11-22T08:26:40.123456789Z');
  expect(cellTitle('n', '5')).toBeUndefined();
});

it('lets no text in CSV become a formula, and leaves numbers alone', () => {
  const columns = [text('body'), { name: 'n', type: 'int64' }];
  const rows = [
    ['=HYPERLINK("http://x")', -1],
    ['@x', '-1763800000123456789'],
  ];
  expect(toCsv(columns, rows)).toBe('body,n\r\n"\'=HYPERLINK(""http://x"")",-1\r\n\'@x,-1763800000123456789\r\n');
});
