import { describe, expect, it } from 'vitest';
import { filterLabel, isMetricQuery, levelQuery, searchedTexts } from '../src/pages/logs/edit';

describe('filterLabel', () => {
  const check = (query: string, origin: 'stream' | 'metadata', keep: boolean, expected: string) => {
    expect(filterLabel(query, origin, 'app', keep, 'web')).toBe(expected);
  };
  it('adds a matcher of a stream label inside the braces', () => {
    check('{region="eu"} |= "x"', 'stream', true, '{region="eu", app="web"} |= "x"');
    check('{region="eu"}', 'stream', false, '{region="eu", app!="web"}');
  });
  it('replaces the opposite matcher and the one that only asks for presence', () => {
    check('{app!="web", region="eu"}', 'stream', true, '{region="eu", app="web"}');
    check('{app=~".+"} | json', 'stream', true, '{app="web"} | json');
  });
  it('leaves a query that says it already', () => check('{app="web"}', 'stream', true, '{app="web"}'));
  it('is not misled by braces and commas inside values', () =>
    check('{region="a,}b"} |= "{"', 'stream', true, '{region="a,}b", app="web"} |= "{"'));
  it('edits the selector inside a metric query', () =>
    check('sum(rate({region="eu"}[5m]))', 'stream', true, 'sum(rate({region="eu", app="web"}[5m]))'));
  it('adds a stage for what is not a stream label', () => {
    check('{region="eu"} | json', 'metadata', true, '{region="eu"} | json | app="web"');
    check('{region="eu"}', 'metadata', false, '{region="eu"} | app!="web"');
    check('{region="eu"} | app="web"', 'metadata', true, '{region="eu"} | app="web"');
  });
  it('does not write the stage into a comment', () =>
    check('{region="eu"} # all', 'metadata', true, '{region="eu"} # all\n| app="web"'));
  it('escapes quotes, backslashes and line breaks', () => {
    expect(filterLabel('{}', 'stream', 'a', true, 'x"\\\n')).toBe('{a="x\\"\\\\\\n"}');
  });
});

describe('isMetricQuery', () => {
  it.each([
    ['{app="web"}', false],
    ['{app="web"} |= "rate(" | json', false],
    ['count_over_time({app="web"}[5m])', true],
    ['sum by (app) (rate({app="web"} | json [1m]))', true],
    ['', false],
  ])('%s', (query, expected) => {
    expect(isMetricQuery(query)).toBe(expected);
  });
});

describe('levelQuery', () => {
  it('counts the rows of the query by severity', () => {
    expect(levelQuery('{app="web"} |= "x"', 60)).toBe(
      'sum by (detected_level, severity_text, level) (count_over_time({app="web"} |= "x" [60s]))',
    );
    expect(isMetricQuery(levelQuery('{app="web"} | json', 5))).toBe(true);
  });
  it('breaks the line after a comment', () => {
    expect(levelQuery('{app="web"} # mine', 5)).toContain('# mine\n[5s]');
  });
});

it('finds the texts that line filters look for', () => {
  expect(searchedTexts('{a="b"} |= "o.e" |= `t"wo` != "three" |~ "(?i)four|(?-i:Fi)" |~ "(a+)+b"')).toEqual([
    /o\.e/g,
    /t"wo/g,
    /four|Fi/gi,
  ]);
});
