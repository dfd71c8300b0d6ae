import { describe, expect, it } from 'vitest';
import { choicesOf } from '../src/pages/trace/Alike';
import { compareTraces, differing } from '../src/pages/trace/pairs';
import { layoutOf, mergeTraces, mostOwnTime } from '../src/pages/trace/flame';
import { buildTree } from '../src/pages/trace/tree';
import { differencesOf, differenceWords, liftOf, slowFrom, traitsOf } from '../src/pages/traces/differ';
import { ms } from './spans';

const named = (id: string, parent: string, name: string, start: number, end: number) =>
  ms(id, parent, start, end, { name });

describe('mergeTraces', () => {
  const one = buildTree([
    named('1', '', 'root', 0, 100),
    named('2', '1', 'query', 10, 30),
    named('3', '1', 'query', 40, 60),
    named('4', '1', 'send', 60, 70),
  ]);
  it('makes one box of all that has the same path', () => {
    const all = mergeTraces([one]);
    const root = all.children[0];
    expect(root).toMatchObject({ name: 'root', count: 1, selfMs: 50, totalMs: 100, durationMs: 100 });
    expect(root?.children.map(({ name, count, totalMs }) => [name, count, totalMs])).toEqual([
      ['query', 2, 40],
      ['send', 1, 10],
    ]);
    expect(mostOwnTime(all, 2).map(({ name, selfMs, count }) => [name, selfMs, count])).toEqual([
      ['root', 50, 1],
      ['query', 40, 2],
    ]);
  });
  it('adds up several traces, and parallel work each time', () => {
    const parallel = buildTree([
      named('1', '', 'root', 0, 100),
      named('2', '1', 'query', 0, 100),
      named('3', '1', 'query', 0, 100),
    ]);
    const all = mergeTraces([one, parallel]);
    expect(all.children).toHaveLength(1);
    expect(all.children[0]).toMatchObject({ count: 2, durationMs: 200, selfMs: 50, totalMs: 300 });
    expect(all.children[0]?.children[0]?.longest).toMatchObject({ trace: 1 });
    expect(all.totalMs).toBe(300);
  });
  it('gives every box its place, with the way back above it', () => {
    const all = mergeTraces([one]);
    const query = all.children[0]?.children[0];
    expect(query).toBeDefined();
    if (!query) return;
    const { placed, levels } = layoutOf(query);
    expect(placed.map(({ frame, left, width, level }) => [frame.name, left, width, level])).toEqual([
      ['', 0, 1, 0],
      ['root', 0, 1, 1],
      ['query', 0, 1, 2],
    ]);
    expect(levels).toBe(3);
    const whole = layoutOf(all).placed.find(({ frame }) => frame.name === 'send');
    expect(whole).toMatchObject({ left: 0.4, width: 0.1, level: 2 });
  });
  it('says how many boxes are too narrow to be drawn', () => {
    const spans = [named('r', '', 'root', 0, 10_000)];
    for (let at = 0; at < 50; at++) spans.push(named(`${at}`, 'r', `op ${at}`, at, at + 1));
    expect(layoutOf(mergeTraces([buildTree(spans)])).left).toBe(50);
  });
});

describe('compareTraces', () => {
  const usual = buildTree([
    named('1', '', 'root', 0, 100),
    named('2', '1', 'query', 10, 30),
    named('3', '1', 'cache', 30, 35),
    named('4', '1', 'send', 40, 90),
  ]);
  const odd = buildTree([
    named('a', '', 'root', 0, 160),
    named('b', 'a', 'query', 10, 30),
    named('c', 'a', 'query', 30, 90),
    named('d', 'a', 'send', 90, 110),
    named('e', 'a', 'retry', 110, 150),
  ]);
  const compared = compareTraces(usual, odd);
  it('tells what is new, gone, slower and faster', () => {
    expect(compared.pairs.map(({ name, verdict, deltaMs }) => [name, verdict, deltaMs])).toEqual([
      ['root', 'slower', 60],
      ['query', 'slower', 60],
      ['cache', 'removed', -5],
      ['send', 'faster', -30],
      ['retry', 'added', 40],
    ]);
    expect(compared.counts).toEqual({ added: 1, removed: 1, slower: 2, faster: 1, same: 0 });
    expect(compared.deltaMs).toBe(60);
  });
  it('explains the difference by own time, so that nothing is told twice', () => {
    expect(compared.reasons.map(({ name, deltaSelfMs }) => [name, deltaSelfMs])).toEqual([
      ['query', 60],
      ['retry', 40],
      ['send', -30],
      ['root', -5],
    ]);
  });
  it('finds nothing where nothing differs, and keeps what stands above a difference', () => {
    expect(differing(compareTraces(usual, usual).pairs)).toEqual([]);
    expect(compareTraces(usual, usual).reasons).toEqual([]);
    expect(differing(compared.pairs).map(({ name }) => name)).toContain('root');
  });
  it('shows a span that fails though it takes as long', () => {
    const failing = buildTree([
      named('1', '', 'root', 0, 100),
      ms('2', '1', 10, 30, { name: 'query', status: 'error' }),
      named('3', '1', 'cache', 30, 35),
      named('4', '1', 'send', 40, 90),
    ]);
    expect(differing(compareTraces(usual, failing).pairs).map(({ name }) => name)).toEqual(['root', 'query']);
  });
});

it('offers the usual trace first', () => {
  const trace = (traceId: string, durationMs: number, errorCount = 0) => ({
    ...{ traceId, durationMs, errorCount, service: '', name: '', startMs: 0, spanCount: 1 },
    ...{ services: [], matched: undefined, spans: [] },
  });
  const choices = choicesOf([trace('me', 50), trace('a', 10), trace('b', 20), trace('c', 90), trace('d', 5, 1)], 'me');
  expect(choices.map(({ what, trace: { traceId } }) => [what, traceId])).toEqual([
    ['A usual one', 'b'],
    ['The fastest', 'a'],
    ['The slowest', 'c'],
    ['One that failed', 'd'],
  ]);
  expect(choicesOf([], 'me')).toEqual([]);
});

describe('what tells bad traces from good ones', () => {
  const of = (region: string, version: string, failed = false) =>
    traitsOf([
      ms('1', '', 0, 1, {
        service: 'api',
        name: 'GET',
        attributes: [
          ['region', region, 'string'],
          ['version', version, 'string'],
          ['zone', `${region}-a`, 'string'],
          ['http.response.status_code', failed ? '500' : '200', 'int'],
        ],
      }),
    ]);
  const bad = [of('eu', '2', true), of('eu', '2', true), of('eu', '1', true), of('us', '2', true)];
  const good = [of('us', '1'), of('us', '1'), of('us', '2'), of('us', '1'), of('eu', '1'), of('us', '1')];
  const { more, less } = differencesOf(bad, good);
  it('ranks by lift, and makes one of what always comes together', () => {
    const causes = more.filter(({ symptom }) => !symptom);
    expect(causes.map(({ name, value, bad: inBad, good: inGood }) => [name, value, inBad, inGood])).toEqual([
      ['region', 'eu', 3, 1],
      ['version', '2', 3, 1],
    ]);
    expect(causes[0]?.also.map(({ name }) => name)).toEqual(['zone']);
    expect(causes[0]?.lift).toBeCloseTo(3.5 / 5 / (1.5 / 7));
  });
  it('keeps the failure itself apart from what may have caused it', () => {
    const [status] = more.filter(({ symptom }) => symptom);
    expect(status).toMatchObject({ name: 'http.response.status_code', value: '500', bad: 4, good: 0 });
    expect(status?.condition).toEqual({
      name: 'span.http.response.status_code',
      op: '=',
      value: { kind: 'number', text: '500' },
    });
    expect(less.map(({ value }) => value)).toContain('200');
  });
  it('says nothing of what all have, and puts it in plain words', () => {
    expect(more.some(({ name }) => name === 'service')).toBe(false);
    const [first] = more.filter(({ symptom }) => !symptom);
    expect(first && differenceWords(first, 4, 6, 'failed ones')).toBe(
      '3 of 4 failed ones have it, but only 1 of the other 6: 4.5 times as often.',
    );
    const [status] = more.filter(({ symptom }) => symptom);
    expect(status && differenceWords(status, 4, 6, 'failed ones')).toBe(
      'All 4 failed ones have it, none of the other 6.',
    );
    expect(liftOf(0, 4, 0, 6)).toBeCloseTo(7 / 5);
  });
  it('calls the slowest tenth slow', () => {
    expect(slowFrom(Array.from({ length: 100 }, (_, at) => at))).toBe(90);
    expect(slowFrom([])).toBe(Infinity);
  });
});
