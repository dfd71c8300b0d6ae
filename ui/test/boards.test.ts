import { describe, expect, test } from 'vitest';
import { readBoard, type BoardSummary, type NumberTile } from '../src/api/boards';
import {
  ago,
  compare,
  flowSteps,
  formatCount,
  lengthWords,
  ownSpan,
  spansOf,
  startOf,
  timeWords,
  withUnit,
} from '../src/pages/boards/words';

const number = (fields: Partial<NumberTile>): NumberTile => ({
  kind: 'number',
  title: 'Members',
  about: '',
  unit: '',
  warnings: [],
  value: 10,
  before: 8,
  compares: true,
  good: 'up',
  ...fields,
});

describe('numbers', () => {
  test('are written as people write them', () => {
    expect([0, 7, 1234, 1234.5, 0.12345, 12.5, 2_500_000].map(formatCount)).toEqual([
      '0',
      '7',
      '1,234',
      '1,235',
      '0.123',
      '12.5',
      '2.5M',
    ]);
    expect([withUnit(3, ''), withUnit(3, '%'), withUnit(3, 'members')]).toEqual(['3', '3%', '3 members']);
    expect([0, 1, 2].map((value) => withUnit(value, 'person|people'))).toEqual(['0 people', '1 person', '2 people']);
  });

  test('are compared with the time before', () => {
    expect(compare(number({}), 'today')).toEqual({
      text: '25% more than yesterday by this time',
      way: 'up',
      news: 'good',
    });
    expect(compare(number({ good: 'down' }), 3600)).toEqual({
      text: '25% more than the hour before',
      way: 'up',
      news: 'bad',
    });
    expect(compare(number({ value: 4, good: undefined }), 86400)).toEqual({
      text: '50% less than the 24 hours before',
      way: 'down',
      news: 'none',
    });
    expect(compare(number({ before: 0 }), 'today')?.text).toBe('none yesterday by this time');
    expect(compare(number({ value: 100, before: 2 }), 'today')?.text).toBe('98 more than yesterday by this time');
    expect(compare(number({ value: 10.01, before: 10 }), 'today')?.text).toBe('1% more than yesterday by this time');
    expect(compare(number({ before: 10 }), 'today')).toEqual({
      text: 'as yesterday by this time',
      way: 'same',
      news: 'none',
    });
    expect(compare(number({ before: undefined }), 'today')?.text).toBe('nothing yesterday by this time');
    expect(compare(number({ compares: false }), 'today')).toBeUndefined();
    expect(compare(number({ value: undefined }), 'today')).toBeUndefined();
  });
});

test('tiles leave no holes in their rows', () => {
  const n = 'number' as const;
  expect(spansOf([n, n, n, n, 'chart', 'feed'])).toEqual([3, 3, 3, 3, 6, 6]);
  expect(spansOf([n, n, n, 'flow', 'chart', 'feed', n])).toEqual([4, 4, 4, 6, 6, 12, 12]);
  expect(spansOf([n, n, 'chart'])).toEqual([6, 6, 12]);
});

test('a flow says who goes on', () => {
  const steps = [
    { name: 'a', value: 200 },
    { name: 'b', value: 199 },
    { name: 'c', value: 50 },
    { name: 'd', value: 50 },
    { name: 'e', value: undefined },
    { name: 'f', value: 60 },
  ];
  const shown = flowSteps({ kind: 'flow', title: '', about: '', unit: '', warnings: [], steps });
  expect(shown.map(({ text }) => text)).toEqual([
    '',
    '99.5% go on, 1 does not',
    '25% go on, 149 do not',
    'all of them go on',
    '',
    '',
  ]);
  expect(shown.map(({ share }) => share)).toEqual([1, 0.995, 0.25, 0.25, 0, 0.3]);
});

test('times are said in words', () => {
  expect([3600, 7200, 86400, 172800, 604800, 90].map(lengthWords)).toEqual([
    'hour',
    '2 hours',
    '24 hours',
    '2 days',
    'week',
    '90 seconds',
  ]);
  expect([timeWords('today'), timeWords(3600)]).toEqual(['today, since midnight', 'the last hour']);
  const now = new Date(2026, 10, 23, 9, 30);
  expect(startOf('today', now)).toBe(new Date(2026, 10, 23).getTime() / 1000);
  expect(startOf(3600, now)).toBe(now.getTime() / 1000 - 3600);
  expect(ago(1000, 5000)).toBe('just now');
  expect(ago(0, 59_000)).toBe('59 s ago');
  expect(ago(0, 3_599_000)).toBe('59 min ago');
  const own = (range: BoardSummary['range']) => ownSpan({ range } as BoardSummary);
  expect([own('today'), own(3600), own(604800), own(7200)]).toEqual(['today', '1h', '7d', undefined]);
});

test('an answer is read, and what fails or is not known says so', () => {
  const board = readBoard({
    name: 'a',
    title: 'A',
    team: null,
    range: '3600s',
    refresh_seconds: 10,
    start_unix_ms: 1,
    end_unix_ms: 2,
    tiles: [
      {
        kind: 'number',
        title: 'N',
        value: null,
        before: 2,
        compares: true,
        good: null,
        warnings: ['one shard is away'],
      },
      {
        kind: 'chart',
        title: 'C',
        look: 'bars',
        step_ms: 60000,
        series: [
          {
            name: 's',
            points: [
              [1, 2],
              [3, null],
            ],
          },
        ],
      },
      { kind: 'feed', title: 'F', error: 'no' },
      { kind: 'later', title: 'L' },
    ],
  });
  expect(board.range).toBe(3600);
  expect(board.team).toBe('');
  const [n, c, f, l] = board.tiles;
  expect(n).toMatchObject({ kind: 'number', value: undefined, before: 2, good: undefined });
  expect(c).toMatchObject({
    look: 'bars',
    series: [
      {
        points: [
          { atMs: 1, value: 2 },
          { atMs: 3, value: Number.NaN },
        ],
      },
    ],
  });
  expect(board.tiles.map(({ warnings }) => warnings)).toEqual([['one shard is away'], [], [], []]);
  expect(f).toMatchObject({ kind: 'failed', error: 'no' });
  expect(l?.kind).toBe('failed');
});
