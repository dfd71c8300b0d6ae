import { describe, expect, it } from 'vitest';
import { choose, chosen, narrow, toggleValue, withPattern, asWords } from '../src/pages/logs/search';
import { isLogql, parseWords, toLogql } from '../src/pages/logs/words';

const ALL = '{business_service=~".+"}';

describe('isLogql', () => {
  it.each([
    '{app="web"}',
    '  {app="web"} |= "x"',
    '# a comment\n{app="web"}',
    'rate({app="web"}[5m])',
    'sum by (app) (rate({app="web"}[5m]))',
    'sum without(app)(rate({a="b"}[5m]))',
    'quantile_over_time(0.9, {a="b"} | unwrap x [5m])',
    '(sum(rate({a="b"}[5m])))',
    '|= "error"',
    '| json',
    '!= "debug"',
    '!~ "x"',
  ])('%s is LogQL', (text) => expect(isLogql(text)).toBe(true));
  it.each([
    '',
    'payment failed',
    'rate limit exceeded',
    'sum of all',
    '"{app=1}"',
    '"rate(5)"',
    '-retry',
    'level:error',
    'count',
    '502',
    '!important',
    'summary(x)',
  ])('%s is words', (text) => expect(isLogql(text)).toBe(false));
});

describe('toLogql', () => {
  it.each([
    ['', ALL],
    ['   ', ALL],
    ['payment failed', `${ALL} |~ "(?i)payment" |~ "(?i)failed"`],
    ['payment -retry', `${ALL} |~ "(?i)payment" !~ "(?i)retry"`],
    ['"Card declined"', `${ALL} |= "Card declined"`],
    ['-"Card declined"', `${ALL} != "Card declined"`],
    ['502 8d1bb', `${ALL} |= "502" |~ "(?i)8d1bb"`],
    ['a.b(c)', `${ALL} |~ "(?i)a\\\\.b\\\\(c\\\\)"`],
    ['say "a \\"b\\" \\\\ c"', `${ALL} |~ "(?i)say" |= "a \\"b\\" \\\\ c"`],
    ['"not closed', `${ALL} |= "not closed"`],
    ['timeout OR refused', `${ALL} |~ "(?i)timeout|refused"`],
    ['timeout OR "Table: x" OR 502', `${ALL} |~ "(?i)timeout|(?-i:Table: x)|502"`],
    ['OR', `${ALL} |~ "(?i)OR"`],
    ['timeout OR', `${ALL} |~ "(?i)timeout" |~ "(?i)OR"`],
    ['timeout OR -x', `${ALL} |~ "(?i)timeout" |~ "(?i)OR" !~ "(?i)x"`],
    ['component:checkout', '{component="checkout"}'],
    ['component:checkout component:cart', '{component=~"checkout|cart"}'],
    ['component:check* x', '{component=~"check.*"} |~ "(?i)x"'],
    ['-component:checkout -component:cart', '{business_service=~".+", component!~"checkout|cart"}'],
    ['http.route:"/v1/a b" level:error', `${ALL} | http_route="/v1/a b" | detected_level="error"`],
    ['level:fatal level:warning', `${ALL} | detected_level=~"critical|warn"`],
    ['level:unknown', `${ALL} | detected_level=""`],
    ['trace_id:* -member_id:*', `${ALL} | trace_id=~".+" | member_id!~".+"`],
    ['http://x/y 12:30 Table: -', `${ALL} |~ "(?i)http://x/y" |= "12:30" |~ "(?i)Table:" |= "-"`],
    ['""', ALL],
    ['|= "x"', `${ALL} |= "x"`],
    ['{a="b"} |= "x"', '{a="b"} |= "x"'],
  ])('%s', (words, logql) => expect(toLogql(words)).toBe(logql));
});

it('keeps the place of each term', () => {
  const text = ' a  -"b c" x:y ';
  expect(parseWords(text).map(({ from, to }) => text.slice(from, to))).toEqual(['a', '-"b c"', 'x:y']);
});

describe('choosing values', () => {
  const component = { name: 'component', origin: 'stream' } as const;
  const level = { name: 'detected_level', origin: 'metadata' } as const;
  it('adds to words and takes away again', () => {
    const one = toggleValue('payment failed', component, 'checkout', true);
    expect(one).toBe('payment failed component:checkout');
    const two = toggleValue(one, component, 'a b', true);
    expect(two).toBe('payment failed component:checkout component:"a b"');
    expect(chosen(two, 'component')).toEqual({ ins: ['checkout', 'a b'], outs: [] });
    expect(toggleValue(two, component, 'checkout', true)).toBe('payment failed component:"a b"');
    expect(toggleValue(one, component, 'checkout', false)).toBe('payment failed -component:checkout');
    expect(toggleValue('x', level, 'error', true)).toBe('x level:error');
    expect(narrow(two, component, 'cart', true)).toBe('payment failed component:cart');
    expect(choose('component:checkout x', component, { ins: [], outs: [] })).toBe('x');
  });
  it('adds to LogQL and takes away again', () => {
    const one = toggleValue(`${ALL} |= "x"`, component, 'checkout', true);
    expect(one).toBe('{business_service=~".+", component="checkout"} |= "x"');
    const two = toggleValue(one, component, 'a.b', true);
    expect(two).toBe('{business_service=~".+", component=~"checkout|a\\\\.b"} |= "x"');
    expect(chosen(two, 'component')).toEqual({ ins: ['checkout', 'a.b'], outs: [] });
    expect(toggleValue(two, component, 'checkout', true)).toBe('{business_service=~".+", component="a.b"} |= "x"');
    const off = toggleValue('{a="b"}', level, 'error', true);
    expect(off).toBe('{a="b"} | detected_level="error"');
    expect(toggleValue(off, level, 'error', true)).toBe('{a="b"}');
    expect(toggleValue(`${off} |= "x"`, level, 'error', true)).toBe('{a="b"} |= "x"');
    expect(toggleValue('{component="a"}', component, 'a', true)).toBe(ALL);
    expect(toggleValue('{component="a"}', component, 'b', false)).toBe('{component="a"}');
    expect(toggleValue('{component="a"}', component, 'a', false)).toBe('{business_service=~".+", component!="a"}');
  });
  it('leaves conditions that say more than a list of values', () => {
    const query = '{component=~"a.*"} | level="x" or b="c"';
    expect(chosen(query, 'component')).toEqual({ ins: [], outs: [] });
    expect(toggleValue(query, component, 'ab', true)).toBe('{component=~"a.*", component="ab"} | level="x" or b="c"');
  });
  it('parses what is only in the line', () => {
    const field = { name: 'status', origin: 'parsed', parser: 'json' } as const;
    expect(toggleValue('paid', field, '200', true)).toBe(`${ALL} |~ "(?i)paid" | json | status="200"`);
    expect(toggleValue('{a="b"} | json', field, '200', false)).toBe('{a="b"} | json | status!="200"');
    expect(toggleValue('{a="b"}', { ...field, parser: 'logfmt' }, '1', true)).toBe('{a="b"} | logfmt | status="1"');
  });
});

it('adds a pattern to words and to LogQL', () => {
  expect(withPattern('paid', 'took <_> ms "x"', true)).toBe(`${ALL} |~ "(?i)paid" |> "took <_> ms \\"x\\""`);
  expect(withPattern('{a="b"}', 'took <_>', false)).toBe('{a="b"} !> "took <_>"');
});

it('makes words of what would be LogQL', () => {
  expect(isLogql(asWords('(time "out")'))).toBe(false);
  expect(toLogql(asWords('(time "out")'))).toBe(`${ALL} |= "(time \\"out\\")"`);
});
