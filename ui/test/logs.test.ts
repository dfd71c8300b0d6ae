import { describe, expect, it } from 'vitest';
import type { Pattern } from '../src/api/patterns';
import { inSight, indexAt, offsetsOf } from '../src/list/offsets';
import { columnsOf, columnsWord, toggleColumn } from '../src/pages/logs/columns';
import { changeText, sortedPatterns, summaryOf } from '../src/pages/logs/patternWords';
import { printSaved, readSaved, withSaved, wordsOf } from '../src/pages/logs/saved';
import { rowOfWord, rowWord } from '../src/pages/logs/share';
import { facetsOf } from '../src/pages/logs/useFacets';

describe('the list', () => {
  const items = [{}, {}, {}, {}, {}];
  const heights = new WeakMap<object, number>([[items[1] as object, 100]]);
  const offsets = offsetsOf(items, heights, 20);
  it('knows where each item stands', () => {
    expect([...offsets]).toEqual([0, 20, 120, 140, 160, 180]);
    expect([0, 19, 20, 119, 120, 500].map((top) => indexAt(offsets, top))).toEqual([0, 0, 1, 1, 2, 4]);
    expect(inSight(offsets, 20, 90)).toEqual({ from: 1, to: 2 });
    expect(inSight(offsets, -10, 300)).toEqual({ from: 0, to: 5 });
    expect(inSight(offsetsOf([], heights, 20), 0, 500)).toEqual({ from: 0, to: 0 });
  });
});

it('keeps columns in the address', () => {
  expect(columnsOf(undefined)).toEqual(['source']);
  expect(columnsWord(['source'])).toBeUndefined();
  expect(columnsOf(columnsWord([]))).toEqual([]);
  const two = toggleColumn(['source'], 'trace_id');
  expect(columnsOf(columnsWord(two))).toEqual(['source', 'trace_id']);
  expect(toggleColumn(two, 'source')).toEqual(['trace_id']);
});

describe('saved searches', () => {
  const saved = { name: 'refused', words: { q: 'payment refused', cols: 'none' }, savedMs: 1 };
  it('holds what makes the search, without its time', () => {
    expect(wordsOf({ q: 'a', from: 'now-1h', live: '1', cols: 'x' })).toEqual({ q: 'a', cols: 'x' });
  });
  it('reads what it wrote, and replaces what has the same name', () => {
    expect(readSaved(printSaved([saved]))).toEqual([saved]);
    expect(withSaved([saved], { ...saved, savedMs: 2 })).toEqual([{ ...saved, savedMs: 2 }]);
  });
  it('refuses other files with a sentence', () => {
    expect(() => readSaved('x')).toThrow('not JSON');
    expect(() => readSaved('{}')).toThrow('no saved searches');
    expect(() => readSaved('{"tyto_log_searches":1,"searches":[{"words":{}}]}')).toThrow('Search 1');
  });
});

describe('patterns', () => {
  const pattern = (change: Pattern['change'], count: number, countBefore: number): Pattern => ({
    id: `${change}${count}`,
    pattern: 'took <_>',
    example: 'took 1',
    services: [],
    levels: {},
    count,
    countBefore,
    change,
    firstSeenNs: '1',
    lastSeenNs: '2',
    samples: [],
  });
  const all = [pattern('steady', 900, 901), pattern('vanished', 0, 7), pattern('new', 3, 0), pattern('grew', 40, 10)];
  it('puts what changed first', () => {
    expect(sortedPatterns(all).map(({ change }) => change)).toEqual(['new', 'grew', 'vanished', 'steady']);
  });
  it('says what changed in words', () => {
    expect(all.map(changeText)).toEqual([
      'as often as before',
      '7 before, none now',
      'not seen in the time before',
      '4 times as often as before',
    ]);
    expect(changeText(pattern('fell', 50, 100))).toBe('50 % less than before');
    expect(summaryOf({ patterns: all, sampled: false, lines: 943, linesBefore: 918, found: 4 })).toBe(
      '4 kinds of message in 943 rows: 1 new, 1 grew, 1 vanished, 1 steady.',
    );
    expect(summaryOf({ patterns: all.slice(0, 1), sampled: true, lines: 9, linesBefore: 0, found: 20 })).toBe(
      '1 of 20 kinds of message in the 9 rows that were looked at, not in all.',
    );
  });
});

it('orders fields: whose the row is, labels, fields, and last what is the same everywhere', () => {
  const found = (name: string, cardinality = 3, parsers: string[] = []) => ({ name, cardinality, parsers });
  const facets = facetsOf(
    [found('zone'), found('app', 1), found('component'), found('level')],
    [found('status', 2, ['json']), found('app'), found('member_id', 40)],
    true,
  );
  expect(facets.map(({ name, origin, sampled }) => `${name} ${origin} ${sampled}`)).toEqual([
    'component stream false',
    'zone stream false',
    'member_id metadata true',
    'status parsed true',
    'app stream false',
  ]);
});

it('names a row in a link', () => {
  const row = (line: string) => ({ ns: '5', line, stream: {}, metadata: {}, parsed: {} });
  const rows = [row('a'), row('b')];
  expect(rowOfWord(rows, rowWord(row('b')))).toBe(rows[1]);
  expect(rowOfWord(rows, rowWord(row('c')))).toBeUndefined();
});
