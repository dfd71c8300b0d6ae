import { describe, expect, it } from 'vitest';
import { compareNs, type LogRow } from '../src/api/loki';
import { linesAround, selectorOf, type AskRows } from '../src/pages/logs/around';
import { exportPages, header, printRow } from '../src/pages/logs/export';

const BASE = 1_700_000_000_000_000_000n;
const row = (at: number, line: string, stream: Record<string, string> = { app: 'web' }): LogRow => ({
  ns: (BASE + BigInt(at)).toString(),
  line,
  stream,
  metadata: {},
  parsed: {},
});
const lines = (rows: LogRow[]) => rows.map(({ line }) => line);

/** A server with these rows: `start <= time < end`, a limit, an order that is stable at equal instants. */
function server(all: LogRow[]): AskRows & { calls: number } {
  const ask = async (_: string, range: { startNs: string; endNs: string }, limit: number, direction: string) => {
    ask.calls++;
    const inside = all.filter(({ ns }) => compareNs(ns, range.startNs) >= 0 && compareNs(ns, range.endNs) < 0);
    const sorted = [...inside].sort((a, b) => compareNs(a.ns, b.ns));
    return (direction === 'backward' ? sorted.reverse() : sorted).slice(0, limit);
  };
  ask.calls = 0;
  return ask as AskRows & { calls: number };
}

describe('linesAround', () => {
  const wanted = (before: number, after: number) => ({ before, after, reachMs: 60_000 });
  it('finds 50 before and 50 after with two questions', async () => {
    const all = Array.from({ length: 300 }, (_, at) => row(at, `l${at}`));
    const ask = server(all);
    const around = await linesAround(ask, all[150] as LogRow, wanted(50, 50));
    expect(lines(around.before)).toEqual(lines(all.slice(100, 150)));
    expect(lines(around.after)).toEqual(lines(all.slice(151, 201)));
    expect([around.beginning, around.end]).toEqual([false, false]);
    expect(ask.calls).toBe(2);
  });
  it('is exact where rows share the instant, and where rows are equal', async () => {
    const all = [row(1, 'a'), row(5, 'x'), row(5, 'y'), row(5, 'y'), row(5, 'z'), row(9, 'b')];
    const around = await linesAround(server(all), all[4] as LogRow, wanted(2, 50));
    expect(lines(around.before)).toEqual(['y', 'y']);
    expect(lines(around.after)).toEqual(['b']);
    const first = await linesAround(server(all), all[1] as LogRow, wanted(50, 2));
    expect(lines(first.before)).toEqual(['a']);
    expect(lines(first.after)).toEqual(['y', 'y']);
    expect([first.beginning, first.end]).toEqual([true, false]);
  });
  it('asks for more when hundreds of rows share the instant', async () => {
    const all = [...Array.from({ length: 700 }, (_, at) => row(5, `s${at}`)), row(6, 'after')];
    const around = await linesAround(server(all), all[650] as LogRow, wanted(50, 50));
    expect(lines(around.before)).toEqual(lines(all.slice(600, 650)));
    expect(lines(around.after)).toEqual(lines(all.slice(651)));
    expect(around.end).toBe(true);
  });
  it('leaves out streams that have more labels', async () => {
    const all = [row(1, 'mine'), row(2, 'other', { app: 'web', pod: 'b' }), row(3, 'this'), row(4, 'mine too')];
    const around = await linesAround(server(all), all[2] as LogRow, wanted(50, 50));
    expect([lines(around.before), lines(around.after)]).toEqual([['mine'], ['mine too']]);
  });
  it('writes the selector of the whole stream', () => {
    expect(selectorOf({ b: 'x"y', a: '1' })).toBe('{a="1", b="x\\"y"}');
    expect(selectorOf({})).toBe('{business_service="unassigned"}');
  });
});

describe('exportPages', () => {
  const range = { startNs: BASE.toString(), endNs: (BASE + 10_000n).toString() };
  const collect = async (all: LogRow[], direction: 'backward' | 'forward', max: number, page: number) => {
    const pages = exportPages(server(all), '{}', range, direction, max, page);
    const rows: LogRow[] = [];
    for (;;) {
      const next = await pages.next();
      if (next.done) return { rows, end: next.value };
      rows.push(...next.value);
    }
  };
  const many = Array.from({ length: 997 }, (_, at) => row(Math.floor(at / 3), `l${at}`));
  it.each(['backward', 'forward'] as const)('gives each row once, %s', async (direction) => {
    const { rows, end } = await collect(many, direction, 10_000, 10);
    expect(rows).toHaveLength(997);
    expect(new Set(lines(rows)).size).toBe(997);
    expect(end).toEqual({ capped: false, crowded: [] });
    const times = rows.map(({ ns }) => ns);
    const sorted = [...times].sort(compareNs);
    expect(times).toEqual(direction === 'forward' ? sorted : sorted.reverse());
  });
  it('keeps equal rows, and ends where a page ends', async () => {
    const equal = Array.from({ length: 20 }, (_, at) => row(Math.floor(at / 4), 'same'));
    expect((await collect(equal, 'backward', 1000, 5)).rows).toHaveLength(20);
    expect((await collect(equal, 'forward', 1000, 20)).rows).toHaveLength(20);
    expect((await collect([], 'forward', 1000, 20)).rows).toEqual([]);
  });
  it('says when the cap cuts, and only then', async () => {
    const cut = await collect(many, 'backward', 100, 10);
    expect([cut.rows.length, cut.end.capped]).toEqual([100, true]);
    const whole = await collect(many.slice(0, 100), 'backward', 100, 1000);
    expect([whole.rows.length, whole.end.capped]).toEqual([100, false]);
    const odd = await collect(many, 'forward', 101, 10);
    expect([odd.rows.length, odd.end.capped]).toEqual([101, true]);
  });
  it.each(['backward', 'forward'] as const)('names the instants that hold more than a page, %s', async (direction) => {
    const all = [row(1, 'a'), ...Array.from({ length: 9 }, (_, at) => row(5, `s${at}`)), row(7, 'b')];
    const { rows, end } = await collect(all, direction, 1000, 4);
    expect(end.crowded).toEqual([(BASE + 5n).toString()]);
    expect(lines(rows)).toContain('a');
    expect(lines(rows)).toContain('b');
    expect(new Set(lines(rows)).size).toBe(rows.length);
  });
});

it('prints rows as CSV and NDJSON', () => {
  const one: LogRow = { ...row(0, '=a,"b"\nc'), metadata: { trace_id: 't', severity_text: 'WARN' } };
  expect(header('csv', ['trace_id'])).toBe('time,timestamp_ns,level,trace_id,line,fields\r\n');
  expect(printRow(one, 'csv', ['trace_id'])).toBe(
    '2023-11-14T22:13:20.000000000Z,1700000000000000000,warn,t,"\'=a,""b""\nc",' +
      '"{""trace_id"":""t"",""severity_text"":""WARN"",""app"":""web""}"\r\n',
  );
  const json: unknown = JSON.parse(printRow(one, 'ndjson', []));
  expect(json).toMatchObject({ timestamp_ns: '1700000000000000000', line: '=a,"b"\nc', stream: { app: 'web' } });
});
