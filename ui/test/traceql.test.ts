import { EditorState } from '@codemirror/state';
import { CompletionContext } from '@codemirror/autocomplete';
import { describe, expect, it } from 'vitest';
import { readFound } from '../src/api/tempo';
import { complete } from '../src/editor/traceql';
import { meaningOf, mistakeIn, NO_CRITERIA, readDuration, toCriteria, toTraceql } from '../src/pages/traces/criteria';
import { joined, partsOf } from '../src/pages/traces/spread';
import { conditionsOf, narrowed, ofBusiness, tokensOf } from '../src/pages/traces/traceql';

const form = {
  service: 'checkout-api',
  operation: 'POST /v1/"x"',
  status: 'error' as const,
  min: '250',
  max: '1.5s',
  attributes: 'http.response.status_code>=500 span.db.name="a b" kind=server',
};

describe('the form and its TraceQL', () => {
  it('writes what was filled in', () => {
    expect(toTraceql(form)).toBe(
      '{ resource.service.name = "checkout-api" && name = "POST /v1/\\"x\\"" && status = error && ' +
        '.http.response.status_code >= 500 && span.db.name = "a b" && kind = server && ' +
        'traceDuration >= 250ms && traceDuration <= 1.5s }',
    );
    expect(toTraceql(NO_CRITERIA)).toBe('{}');
  });
  it('reads back what it wrote', () => {
    expect(toCriteria(toTraceql(form))).toEqual({ ...form, min: '250ms' });
    expect(toCriteria('{}')).toEqual(NO_CRITERIA);
    expect(toCriteria('')).toEqual(NO_CRITERIA);
    for (const text of ['a="5"', 'a=5', 'a="true"', 'a=true', 'a=~"x|y z"', 'a=""'])
      expect(
        toTraceql({
          ...NO_CRITERIA,
          attributes: toCriteria(toTraceql({ ...NO_CRITERIA, attributes: text }))?.attributes ?? '',
        }),
      ).toBe(toTraceql({ ...NO_CRITERIA, attributes: text }));
  });
  it('leaves alone what no form can say', () => {
    for (const query of [
      '{ a = 1 } && { b = 2 }',
      '{ .a = 1 || .b = 2 }',
      '{ .a = 1 } | count() > 2',
      '{ .a = .b }',
      '{ .a }',
      '{ .a = 1 && }',
      '{ .a = ',
      'nonsense',
    ])
      expect(toCriteria(query), query).toBeUndefined();
  });
  it('keeps a second condition on the same thing', () => {
    const query = '{ name = "a" && name != "b" && duration > 5ms }';
    expect(toCriteria(query)).toMatchObject({ operation: 'a', attributes: 'name!=b duration>5ms' });
  });
  it('says what is wrong while it is typed', () => {
    expect(mistakeIn({ ...NO_CRITERIA, min: 'soon' })).toMatchObject({ field: 'min' });
    expect(mistakeIn({ ...NO_CRITERIA, attributes: 'a=1 b' })).toMatchObject({ field: 'attributes' });
    expect(mistakeIn(form)).toBeUndefined();
    expect(readDuration(' 250 ')).toBe('250ms');
    expect(readDuration('soon')).toBeUndefined();
  });
});

describe('the meaning in words', () => {
  const words = (query: string) =>
    meaningOf(query)
      ?.map((part) => (typeof part === 'string' ? part : part.code))
      .join('');
  it('is a sentence', () => {
    expect(words('{}')).toBe('Every trace.');
    expect(words('{ resource.service.name = "api" && status = error }')).toBe(
      'Traces in which one span was in the service api and failed.',
    );
    expect(words('{ span.http.route = "/v1" && traceDuration >= 1s }')).toBe(
      'Traces in which a span has span.http.route that is /v1, and that took at least 1s as a whole.',
    );
    expect(words('{ .a = 1 } | count() > 2')).toBeUndefined();
  });
});

it('reads the words of a query, or none of them', () => {
  expect(tokensOf('{ span."a b" =~ `x.*` }')?.map(({ text }) => text)).toEqual(['{', 'span."a b"', '=~', 'x.*', '}']);
  expect(tokensOf('{ "open }')).toBeUndefined();
  expect(conditionsOf('{ duration > 1h30m }')).toEqual([
    { name: 'duration', op: '>', value: { kind: 'duration', text: '1h30m' } },
  ]);
});

it('narrows a query without changing what it asks', () => {
  const failed = [{ name: 'status', op: '=' as const, value: { kind: 'word' as const, text: 'error' } }];
  expect(narrowed('{}', failed)).toBe('{ status = error }');
  expect(narrowed('{ .a = 1 || .b = 2 }', failed)).toBe('({ .a = 1 || .b = 2 }) && { status = error }');
  expect(narrowed('{ .a = "|" }', failed)).toBe('({ .a = "|" }) && { status = error }');
  expect(narrowed('{ .a = 1 } | count() > 2', failed)).toBeUndefined();
  expect(ofBusiness('a "b"', true)).toBe('{ resource.omd.business_service = "a \\"b\\"" && status = error }');
});

describe('answers of a search', () => {
  const answer = {
    traces: [
      {
        ...{
          traceID: 'AB12',
          rootServiceName: '<root span not yet received>',
          startTimeUnixNano: '1700000000000000000',
        },
        durationMs: 12,
        serviceStats: { api: { spanCount: 3, errorCount: 1 }, db: { spanCount: 5 } },
        spanSets: [
          {
            matched: 4,
            spans: [
              {
                ...{ spanID: '00f067aa0ba902b7', durationNanos: '2000000' },
                attributes: [{ key: 'http.route', value: { stringValue: '/v1' } }],
              },
            ],
          },
        ],
      },
    ],
    metrics: { completedJobs: 3, totalJobs: 7 },
  };
  it('are read in the form that Tempo documents', () => {
    const { traces, partial } = readFound(answer);
    expect(traces[0]).toMatchObject({
      ...{ service: '', startMs: 1.7e12, durationMs: 12, spanCount: 8, errorCount: 1, matched: 4 },
      services: [
        { name: 'db', spans: 5, errors: 0 },
        { name: 'api', spans: 3, errors: 1 },
      ],
      spans: [{ spanId: '00f067aa0ba902b7', durationMs: 2, attributes: [['http.route', '/v1']] }],
    });
    expect(partial).toBe('Only 3 of 7 parts of the store were searched.');
  });
  it('may be without traces, but not without their form', () => {
    expect(readFound({ metrics: {} })).toEqual({ traces: [], partial: undefined, more: false });
    expect(readFound({ traces: [], status: 'PARTIAL', message: 'too long' }).partial).toBe('too long');
    expect(() => readFound({ hello: 1 })).toThrow('no traces');
  });
});

it('asks for every part of a range, each second once', () => {
  const parts = partsOf({ q: '{}', limit: 240, start: 1000, end: 4601 });
  expect(parts).toHaveLength(20);
  expect(parts[0]).toMatchObject({ start: 1000, limit: 12 });
  expect(parts.at(-1)).toMatchObject({ end: 4601 });
  parts.slice(1).forEach((part, index) => expect(part.start).toBe(parts[index]?.end));
  expect(partsOf({ q: '{}', limit: 240, start: 1000, end: 1060 })).toHaveLength(1);
});

it('knows a trace that was found twice as one', () => {
  const { traces } = readFound({
    traces: [
      { traceID: 'aa', startTimeUnixNano: '1', durationMs: 3 },
      { traceID: 'aa', startTimeUnixNano: '1', durationMs: 9 },
    ],
  });
  const found = joined([
    { traces: traces.slice(0, 1), partial: undefined, more: true },
    { traces: traces.slice(1), partial: 'late', more: false },
  ]);
  expect(found).toMatchObject({ partial: 'late', more: true });
  expect(found.traces.map(({ durationMs }) => durationMs)).toEqual([9]);
});

describe('completion', () => {
  const source = {
    names: () => Promise.resolve(['span.http.route']),
    values: (name: string) =>
      Promise.resolve(name === 'status' ? [{ type: 'keyword', value: 'error' }] : [{ type: 'string', value: 'a"b' }]),
  };
  const at = async (text: string) => {
    const state = EditorState.create({ doc: text.replace('^', '') });
    const found = await complete(new CompletionContext(state, text.indexOf('^'), true), source);
    return found?.options.map(({ label, apply }) => apply ?? label);
  };
  it('offers names inside braces, values behind a comparison, stages behind a pipe', async () => {
    expect(await at('{ sp^ }')).toContain('span.http.route');
    expect(await at('{ status = ^ }')).toEqual(['error']);
    expect(await at('{ .x = ^ }')).toEqual(['"a\\"b"']);
    expect(await at('{ .x = "^" }')).toEqual(['a\\"b']);
    expect(await at('{ } | ^')).toContain('count()');
    expect(await at('{ } ^')).toBeUndefined();
  });
});
