import { expect, test } from 'vitest';
import { readScorecard } from '../src/api/scorecard';
import { lacks, levelName, percent, ratio, signals, unassignedWords, verdict } from '../src/pages/scorecard/words';

const LEVELS = ['Heard', 'Owned', 'Explained', 'Trusted'].map((name, index) => ({
  level: index + 1,
  name,
  means: `${name} means`,
}));
const SUMMARY = {
  name: 'till',
  level: 1,
  components: 4,
  without_data: 1,
  at_level: [1, 2, 0, 0],
  figures: { logs: 90, spans: 30, points: 0 },
  identity_ratio: 0.9999,
  kept_ratio: null,
  logs_per_span: 3,
  drift: 2,
  lifts: [{ says: '1 of 3 components have no owner: api' }],
};
const COMPONENT = {
  path: 'pay/cards/api',
  team: 'till',
  declared: true,
  level: 2,
  figures: { logs: 90, spans: 0, points: 5 },
  verdicts: [
    { rule: 'signals', level: 3, met: false, says: 'No traces arrive' },
    { rule: 'kept', level: 3, met: null, says: 'not known' },
    { rule: 'drift', level: 4, met: false, says: 'later' },
  ],
};
const card = (change = {}) =>
  readScorecard({
    levels: LEVELS,
    records_least: 100,
    all: SUMMARY,
    unassigned: {},
    teams: [SUMMARY],
    business_services: [],
    components: [COMPONENT],
    questions: [{ asks: 'a', language: 'sql', query: 'SELECT 1' }],
    warnings: [],
    ...change,
  });

test('a scorecard is read with what is not known', () => {
  const { all, components } = card();
  expect(all).toMatchObject({ level: 1, keptRatio: undefined, lifts: ['1 of 3 components have no owner: api'] });
  expect(components[0]?.verdicts[1]?.met).toBeUndefined();
  expect(() => readScorecard({})).toThrow('levels');
});

test('the verdict says the level of whoever is furthest behind, and what is no verdict', () => {
  const { all, levels } = card();
  expect(verdict(all, levels, 'Team till')).toEqual({
    title: 'Team till: level 1 of 4, Heard',
    text: 'Heard means. It is the level of whoever is furthest behind among 3 components: 1 heard, 2 owned. Of 1 component too little came to judge: that is no verdict, for good or bad.',
  });
  const silent = card({ all: { ...SUMMARY, level: null, without_data: 4, at_level: [0, 0, 0, 0] } }).all;
  expect(verdict(silent, levels, 'All').title).toBe('All: not enough data yet');
  expect(levelName(undefined, levels)).toBe('Not enough data');
});

test('a component says what lifts it and what came', () => {
  const [component] = card().components;
  if (!component) throw new Error('one component');
  expect(lacks(component).map(({ says }) => says)).toEqual(['No traces arrive']);
  expect(lacks({ ...component, level: undefined })).toEqual([]);
  expect(signals(component)).toBe('logs · metrics');
  expect(signals({ ...component, figures: { logs: 0, spans: 0, points: 0 } })).toBe('nothing');
});

test('a part is never rounded up to all', () => {
  expect(percent(0.9999)).toBe('99.9 %');
  expect(percent(undefined)).toBe('–');
  expect(ratio(3.14)).toBe('3.1');
});

test('what belongs to nobody is told as a share', () => {
  const figures = (logs: number) => ({ logs, spans: 0, points: 0 });
  expect(unassignedWords(figures(0), figures(9))).toBeUndefined();
  expect(unassignedWords(figures(1), figures(3))).toContain('25 % of all records');
  expect(unassignedWords(figures(1), figures(99_999))).toContain('under 0.1 %');
});
