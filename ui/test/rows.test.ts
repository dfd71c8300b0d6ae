import { describe, expect, it } from 'vitest';
import { compareNs, readStreams, type Direction, type LogRow } from '../src/api/loki';
import type { Series } from '../src/api/prometheus';
import { byLevel } from '../src/pages/logs/Histogram';
import { levelOfLabels } from '../src/pages/logs/level';
import { cutAt, indented, messageOf, traceIdOf } from '../src/pages/logs/line';
import { mergePages, nextCursor, withSame } from '../src/pages/logs/useLogRows';

const row = (ns: string, line: string): LogRow => ({ ns, line, stream: { app: 'web' }, metadata: {}, parsed: {} });
const lines = (rows: LogRow[]) => rows.map(({ line }) => line);

it('orders instants that a JavaScript number could not tell apart', () => {
  expect(compareNs('1795326950224000001', '1795326950224000002')).toBeLessThan(0);
  expect(compareNs('999', '1000')).toBeLessThan(0);
});

it('reads streams into rows, newest first, with stream labels and structured metadata apart', () => {
  const json = {
    data: {
      resultType: 'streams',
      result: [
        {
          stream: { app: 'a' },
          values: [
            ['3', 'three', { structuredMetadata: { trace_id: 'x' } }],
            ['1', 'one'],
          ],
        },
        { stream: { app: 'b' }, values: [['2', 'two', { parsed: { status: '200' } }]] },
      ],
    },
  };
  const rows = readStreams(json, '/p');
  expect(lines(rows)).toEqual(['three', 'two', 'one']);
  expect(rows[0]?.metadata).toEqual({ trace_id: 'x' });
  expect(rows[1]?.parsed).toEqual({ status: '200' });
  expect(() => readStreams({ data: {} }, '/p')).toThrow('no data.result');
});

describe('mergePages', () => {
  it('drops what two pages share at their common instant, and only that', () => {
    const pages = [
      [row('3', 'c'), row('2', 'b'), row('2', 'b')],
      [row('2', 'b'), row('2', 'b'), row('2', 'b2'), row('1', 'a')],
    ];
    expect(lines(mergePages(pages))).toEqual(['c', 'b', 'b', 'b2', 'a']);
  });
  it('keeps equal rows of one page', () => {
    expect(mergePages([[row('2', 'b'), row('2', 'b')]])).toHaveLength(2);
  });
});

describe('nextCursor', () => {
  const page = (rows: LogRow[], atNs: string, limit: number, direction: Direction = 'backward') =>
    nextCursor({ rows, cursor: { atNs, limit }, direction });
  it('goes on at the last instant, and ends with a page that is not full', () => {
    expect(page([row('9', 'a'), row('7', 'b')], '20', 2)).toEqual({ atNs: '8', limit: 500 });
    expect(page([row('7', 'a'), row('9', 'b')], '1', 2, 'forward')).toEqual({ atNs: '9', limit: 500 });
    expect(page([row('9', 'a')], '20', 2)).toBeUndefined();
    expect(page([], '20', 2)).toBeUndefined();
  });
  it('asks for more where many rows share one instant, never for more than the server gives, and then goes on behind it', () => {
    const full = (limit: number) => page(new Array<LogRow>(limit).fill(row('7', 'x')), '8', limit);
    expect(full(500)).toEqual({ atNs: '8', limit: 2000 });
    expect(full(2000)).toEqual({ atNs: '8', limit: 5000 });
    expect(full(5000)).toEqual({ atNs: '7', limit: 500 });
    const rows = new Array<LogRow>(5000).fill(row('7', 'x'));
    expect(page(rows, '7', 5000, 'forward')).toEqual({ atNs: '8', limit: 500 });
  });
});

it('keeps rows as the same objects over a refresh, equal ones each for itself', () => {
  const before = [row('3', 'c'), row('2', 'b'), row('2', 'b')];
  const after = withSame([row('4', 'd'), row('3', 'c'), row('2', 'b'), row('2', 'b'), row('2', 'b')], before);
  expect(after.map((each) => before.indexOf(each))).toEqual([-1, 0, 1, 2, -1]);
});

it.each<[Record<string, string>, string]>([
  [{ severity_text: 'WARNING' }, 'warn'],
  [{ level: 'err' }, 'error'],
  [{ severity_number: '17' }, 'error'],
  [{ severity_number: '9', severity_text: '' }, 'info'],
  [{ severity_text: 'notice' }, 'info'],
  [{ severity_text: 'Critical' }, 'fatal'],
  [{ severity_number: '0' }, 'unknown'],
  [{}, 'unknown'],
])('level of %j is %s', (labels, level) => {
  expect(levelOfLabels(labels)).toBe(level);
});

it('draws each count over the time it counted, one line per level', () => {
  const series: Series[] = [
    { labels: { severity_text: 'ERROR' }, times: [60, 120], values: [2, 3] },
    { labels: { level: 'error' }, times: [60], values: [5] },
    { labels: { severity_text: 'INFO' }, times: [120], values: [7] },
  ];
  const { times, levels } = byLevel({ series, warnings: [] }, 0, 60, 60);
  expect(times).toEqual([0, 60]);
  expect(levels).toEqual([
    { level: 'info', values: [null, 7], count: 7 },
    { level: 'error', values: [7, 3], count: 10 },
  ]);
});

it('shows a JSON line as its message and fields', () => {
  expect(messageOf('{"level":"info","msg":"paid","amount":12,"card":{"kind":"x"}}')).toEqual({
    text: 'paid',
    rest: 'amount=12 card={"kind":"x"}',
  });
  expect(messageOf('{"msg":"paid","member":1763800000123456789}').rest).toBe('member=1763800000123456789');
  expect(messageOf('{broken').text).toBe('{broken');
  expect(messageOf('{"a":1}')).toEqual({ text: '{"a":1}', rest: '' });
});

it('finds a trace id wherever the sender put it', () => {
  const id = '0af7651916cd43dd8448eb211c80319c';
  expect(traceIdOf({ ...row('1', ''), metadata: { trace_id: id } })).toBe(id);
  expect(traceIdOf(row('1', `{"traceId":"${id.toUpperCase()}"}`))).toBe(id);
  expect(traceIdOf({ ...row('1', ''), metadata: { trace_id: '0'.repeat(32) } })).toBeUndefined();
});

it('cuts a text at the searched words without reading them as patterns', () => {
  expect(cutAt('a.b axb a.b', [/a\.b/g])).toEqual(['', 'a.b', ' axb ', 'a.b', '']);
  expect(cutAt('abcd abx', [/abc/g, /bcd/g, /x/gi])).toEqual(['', 'abcd', ' ab', 'x', '']);
  expect(cutAt('none', [])).toEqual(['none']);
});

it('indents JSON without changing a character of it', () => {
  const json = '{"id":1763800000123456789, "a":[1,[],{"b:,":"x\\"}"}],"a":{ },"e":1.50}';
  const shown = indented(json);
  expect(shown).toBe(
    [
      '{',
      '  "id": 1763800000123456789,',
      '  "a": [',
      '    1,',
      '    [],',
      '    {',
      '      "b:,": "x\\"}"',
      '    }',
      '  ],',
      '  "a": { },',
      '  "e": 1.50',
      '}',
    ].join('\n'),
  );
});
