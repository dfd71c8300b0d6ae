import { describe, expect, it } from 'vitest';
import { readTsdb, type LabelCardinality } from '../src/api/cardinality';
import { readExemplars } from '../src/api/exemplars';
import { readAnswer, type Metric } from '../src/api/prometheus';
import { thinned } from '../src/charts/exemplarMarks';
import { hasBuckets, heatOf, rowPosition, strength } from '../src/charts/heat';
import { selectorText, pathName } from '../src/editor/promqlSource';
import { happened, ownerOf, queryOfLabel, stateOf, verdict } from '../src/pages/cardinality/words';
import { costSentence, figuresOf } from '../src/pages/metrics/cost';
import { picturesOf } from '../src/pages/metrics/pictures';
import { copied, readQueries, removed, switched } from '../src/pages/metrics/queries';
import { joined } from '../src/pages/metrics/table';
import { isRunningTotal, metricsOf, unitOf } from '../src/pages/metrics/unit';

describe('queries in the address', () => {
  it('reads links from the time when there was one query', () => {
    expect(readQueries({ q: ' up ' })).toEqual([
      { letter: 'A', text: 'up', off: false, unit: undefined, draw: undefined, log: false },
    ]);
  });
  it('reads every query with how it is drawn, and forgets what it does not know', () => {
    const [, b] = readQueries({ q: 'a', 'q.b': 'b', 'unit.b': 'bytes', 'draw.b': 'pie', 'scale.b': 'log', off: 'b' });
    expect(b).toEqual({ letter: 'B', text: 'b', off: true, unit: 'bytes', draw: undefined, log: true });
  });
  it('removes a query with all that belongs to it, and keeps the letters of the others', () => {
    const address = { q: 'a', 'q.b': 'b', unit: 'bytes', off: 'a' };
    const left = { ...address, ...removed(address, 'A') };
    expect(readQueries(left).map(({ letter, off }) => [letter, off])).toEqual([['B', false]]);
    expect(left.unit).toBeUndefined();
  });
  it('copies and switches', () => {
    expect(copied({ q: 'a', draw: 'bars' }, 'A', 'C', 'a + 1')).toMatchObject({ 'q.c': 'a + 1', 'draw.c': 'bars' });
    expect(switched({ off: 'b' }, 'A')).toEqual({ off: 'a,b' });
    expect(switched({ off: 'b' }, 'B')).toEqual({ off: undefined });
  });
});

const metric = (name: string, type: string, unit = ''): [string, Metric] => [name, { name, type, help: '', unit }];
const ABOUT = new Map([
  metric('d_seconds', 'histogram', 's'),
  metric('jobs_total', 'counter'),
  metric('lag', 'gauge', 's'),
]);

it.each([
  ['rate(d_seconds_count[5m])', 'per_second'],
  ['histogram_quantile(0.9, sum by (le) (rate(d_seconds_bucket[5m])))', 'seconds'],
  ['rate(d_seconds_sum[5m]) / rate(d_seconds_count[5m])', 'seconds'],
  ['sum(rate(jobs_total{code="5"}[5m])) / sum(rate(jobs_total[5m]))', 'ratio'],
  ['100 * (sum(rate(a_total[5m])) / sum(rate(a_total[5m])))', 'percent'],
  ['max_over_time(lag[1h])', 'seconds'],
  ['rate(node_network_receive_bytes_total[5m]) * 8', 'bits_per_second'],
  ['time() - node_boot_time_seconds', 'seconds'],
  ['node_boot_time_seconds', 'date'],
  ['count(x_bytes)', 'none'],
  ['x_bytes / 1024', 'none'],
  ['topk(5, x_bytes) > 100', 'bytes'],
  ['x_bytes > bool 100', 'none'],
  ['sum(up', 'none'],
])('unit of %s', (query, unit) => {
  expect(unitOf(query, ABOUT)).toBe(unit);
});

it('finds the metrics of a query, quoted names too', () => {
  expect(metricsOf('rate(a[5m]) / {"b.c", x="y"} + a')).toEqual(['a', 'b.c']);
  expect(isRunningTotal('jobs_total{a="b"}', ABOUT)).toBe(true);
  expect(isRunningTotal('rate(jobs_total[5m])', ABOUT)).toBe(false);
  expect(isRunningTotal('lag', ABOUT)).toBe(false);
});

describe('heat maps', () => {
  const grid = { start: 0, end: 10, step: 10 };
  const bucket = (le: string, values: number[]) => ({ labels: { le }, times: [0, 10], values });
  it('takes buckets apart and puts them in order', () => {
    const series = [bucket('+Inf', [9, 9]), bucket('1', [4, 1]), bucket('2', [9, 3])];
    const heat = heatOf([...series, bucket('1', [1, 1])], grid);
    expect(heat).toMatchObject({ times: [0, 10], edges: [0, 1, 2, Infinity], max: 6 });
    expect(heat?.cells).toEqual([
      [5, 2],
      [4, 1],
      [0, 6],
    ]);
  });
  it('knows what is no histogram', () => {
    expect(hasBuckets([bucket('1', [1]), bucket('2', [1]), { labels: {}, times: [], values: [] }])).toBe(false);
    expect(heatOf([{ labels: {}, times: [0], values: [1] }], grid)).toBeUndefined();
  });
  it('keeps every observation of native histograms, however rows are put together', () => {
    const buckets = Array.from({ length: 100 }, (_, at): [number, number, number] => [
      2 ** (at / 8),
      2 ** ((at + 1) / 8),
      2,
    ]);
    const histograms = [{ time: 10, count: 200, sum: 1, buckets }];
    const heat = heatOf([{ labels: {}, times: [10], values: [200], histograms }], grid);
    expect(heat?.cells.length).toBeLessThanOrEqual(42);
    expect(heat?.cells.reduce((sum, row) => sum + (row[1] ?? 0), 0)).toBeCloseTo(200);
    expect(heat?.cells[0]?.[0]).toBeNaN();
  });
  it('places values between edges', () => {
    expect([0, 0.5, 10, 100, 1e9].map((value) => rowPosition([0, 1, 100, Infinity], value))).toEqual([
      0, 0.5, 1.5, 2.5, 2.5,
    ]);
    expect([strength(0, 9), strength(9, 9)]).toEqual([0, 1]);
  });
});

it('reads native histograms, notes and costs of an answer', () => {
  const point = [5, { count: '3', sum: '1.5', buckets: [[0, '0.5', '1', '3']] }];
  const stats = {
    timings: { execTotalTime: 0.25, evalTotalTime: 0.25 },
    samples: { totalQueryableSamples: 1200, peakSamples: 40 },
    scan: {
      files_total: 10,
      files_skipped: 8,
      bytes_scanned: 2048,
      rows_scanned: 7,
      head_rows_scanned: 3,
      rows_returned: 10,
    },
  };
  const data = { resultType: 'matrix', result: [{ metric: {}, values: [[1, '2']], histograms: [point] }], stats };
  const answer = readAnswer({ data, warnings: ['w'], infos: ['i'] }, '/p');
  expect(answer).toMatchObject({ warnings: ['w'], infos: ['i'] });
  expect(answer.series[0]).toMatchObject({ times: [1, 5], values: [2, 3], histograms: [{ buckets: [[0.5, 1, 3]] }] });
  expect(costSentence(answer.stats)).toMatch(
    /3 rows from memory and 7 rows \(2 KiB\) from files\..*10 files 2 had to be opened; the rest was skipped.*250 ms/,
  );
  expect(figuresOf(answer.stats, 300, 1, 2).find(({ name }) => name === 'Samples')?.value).toBe('1 200');
  expect(costSentence(undefined)).toMatch(/did not say/);
});

it('reads exemplars that name a trace, and keeps the highest of each moment', () => {
  const entry = (value: string, trace_id: string) => ({ labels: { trace_id, span_id: 'b' }, value, timestamp: 5 });
  const data = [
    {
      seriesLabels: { job: 'x' },
      exemplars: [...'123456'].map((value) => entry(value, 'ab')).concat(entry('9', '../x')),
    },
  ];
  const found = readExemplars({ data }, '/p');
  expect(found[0]).toMatchObject({ time: 5, traceId: 'ab', spanId: 'b', labels: { job: 'x' } });
  expect(thinned(found, 0, 10).map(({ value }) => value)).toEqual([6, 5, 4, 3]);
});

it('draws what is of one unit together', () => {
  const asked = readQueries({
    q: 'rate(a_total[5m])',
    'q.b': 'rate(b_total[5m])',
    'q.c': 'x_bytes',
    'q.d': 'x_bytes',
    'draw.d': 'bars',
  });
  const drawn = {
    series: [{ labels: {}, times: [0], values: [1] }],
    warnings: [],
    query: '',
    start: 0,
    end: 1,
    step: 1,
  };
  const pictures = picturesOf(
    asked.map((each) => ({ asked: each, drawn })),
    ABOUT,
  );
  expect(
    pictures.map(({ parts, unit, draw }) => [parts.map((part) => part.asked.letter).join(''), unit, draw]),
  ).toEqual([
    ['AB', 'per_second', 'lines'],
    ['C', 'bytes', 'lines'],
    ['D', 'bytes', 'bars'],
  ]);
});

it('puts answers with the same labels into one row', () => {
  const answer = (__name__: string, value: number) => ({
    warnings: [],
    series: [{ labels: { __name__, job: 'x' }, times: [1], values: [value] }],
  });
  const parts = [
    { letter: 'A' as const, unit: 'none' as const, answer: answer('a', 1) },
    { letter: 'B' as const, unit: 'bytes' as const, answer: answer('b', 1024) },
  ];
  expect(joined(parts).rows).toEqual([['x', 1, 1024, '1 KiB']]);
  expect(joined(parts.slice(0, 1)).columns.map(({ name }) => name)).toEqual(['__name__', 'job', 'value']);
});

it('writes selectors and names for completion', () => {
  expect(selectorText()).toBeUndefined();
  expect(selectorText('up', [], 'job')).toBe('{__name__="up"}');
  expect([pathName('job'), pathName('http.route')]).toEqual(['job', 'U__http_2e_route']);
});

describe('cardinality', () => {
  const calm: LabelCardinality = {
    businessService: 'payments',
    service: 's',
    component: 'c',
    job: '',
    label: 'user.id',
    values: 10,
    valuesMax: 100,
    overflows: false,
    replacedSeries: 0,
  };
  it('says what happened, to whom, and where to look', () => {
    const over = { ...calm, overflows: true, values: 103, replacedSeries: 4000 };
    expect([stateOf(calm), stateOf({ ...calm, values: 60 }), stateOf(over)]).toEqual(['calm', 'close', 'overflows']);
    expect(verdict([calm, over]).title).toBe('One label brings too many values');
    expect(happened(over)).toMatch(/user\.id of payments .* 100 new values .* 4 000 series so far/);
    expect(queryOfLabel(calm)).toBe(
      'sort_desc(count by (__name__) ({business_service="payments", component="c", "user.id"!=""}))',
    );
    expect(ownerOf({ ...calm, businessService: 'unassigned', job: 'node' }).name).toBe('node');
  });
  it('copes with empty and with missing lists', () => {
    const read = readTsdb({
      data: {
        seriesCountByMetricName: [],
        labelValueCountByLabelName: [
          { name: 'a', value: 2 },
          { name: 'b', value: 3 },
        ],
      },
    });
    expect(read).toMatchObject({ series: undefined, seriesByMetric: [], seriesByPair: undefined });
    expect(read.valuesByLabel?.[0]?.name).toBe('b');
  });
});
