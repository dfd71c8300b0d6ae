import { describe, expect, it } from 'vitest';
import { readInForce, type Stage } from '../src/api/pipelines';
import { deeds, listed, stageWords, verdict, whose } from '../src/pages/pipelines/words';

const stage = (kind: string, does: Record<string, unknown>, when = ''): Stage => ({
  stage: `1 ${kind}`,
  kind,
  when,
  does,
});

describe('stages in plain words', () => {
  it.each([
    ['parse', { format: 'json', from: '' }, 'Reads the line as JSON'],
    ['parse', { format: 'regexp', from: 'payload' }, 'Reads the attribute payload by a pattern'],
    ['parse', { format: 'timestamp', from: 'at' }, 'Takes the time from the attribute at'],
    ['vrl', { program: '.body = "x"' }, 'Runs a program of its own'],
    [
      'mask',
      { kinds: ['card', 'email'], fields: [], patterns: [], with: 'redact', in: ['body', 'attributes'] },
      'Hides payment cards and e-mail addresses',
    ],
    [
      'mask',
      {
        kinds: ['iban'],
        fields: ['patient.name', 'diagnosis'],
        patterns: ['insurance_no'],
        with: 'pseudonym',
        in: ['body'],
      },
      'Hides bank account numbers, the fields patient.name, diagnosis and what looks like insurance no in the line, each behind a pseudonym',
    ],
    ['drop', { reason: 'health_check' }, 'Drops “health check” records'],
    ['drop', { reason: 'dropped' }, 'Drops records'],
    ['sample', { keep: 0.1, by: 'record' }, 'Keeps 1 of 10 records'],
    ['sample', { keep: 0.3, by: 'trace' }, 'Keeps 30 % of traces, each whole'],
    ['sample', { keep: 0, by: 'record' }, 'Keeps none'],
    ['dedupe', { window_seconds: 60 }, 'Keeps the first of those that repeat within 1 minute'],
    ['dedupe', { window_seconds: 90 }, 'Keeps the first of those that repeat within 90 seconds'],
    ['metric', { name: 'n_total', kind: 'counter', value: '' }, 'Counts records as the metric n_total'],
    ['metric', { name: 'n', kind: 'histogram', value: 'ms' }, 'Measures ms as the metric n'],
    ['event', { name: 'order.placed' }, 'Calls it the event order.placed'],
    ['enrich', { table: 'methods.csv', from: 'method' }, 'Adds what the table methods.csv says of method'],
    ['route', { hint: 'cold' }, 'Marks it to go to cold'],
    ['later', {}, 'later'],
  ])('%s %j', (kind, does, words) => {
    expect(stageWords(stage(kind, does))).toBe(words);
  });
});

const IN_FORCE = {
  since: 1_795_480_000,
  pipelines: [
    {
      name: 'payments',
      business_service: 'payments',
      service: 'checkout',
      component: '',
      declared_at: { file: '/srv/pipelines/payments.yaml', line: 1, column: 1 },
      text: 'name: payments\n',
      records: 70,
      stages: [
        { stage: '1 drop', kind: 'drop', when: '.body == "x"', does: { reason: 'health_check' } },
        { stage: '2 mask', kind: 'mask', when: null, does: { kinds: ['card'] } },
      ],
      counts: [
        { stage: '', what: 'seen', reason: '', component: 'a', count: 70 },
        { stage: '1 drop', what: 'dropped', reason: 'health_check', component: 'a', count: 3 },
        { stage: '1 drop', what: 'dropped', reason: 'health_check', component: 'b', count: 4 },
        { stage: '2 mask', what: 'masked', reason: '', component: 'a', count: 1 },
        { stage: '2 mask', what: 'failed', reason: 'no_pseudonym_key', component: 'a', count: 2 },
      ],
    },
  ],
};
const NOW_MS = 1_795_480_000_000 + 125_000;

it('what stages did is added up over everybody', () => {
  const [pipeline] = readInForce(IN_FORCE).pipelines;
  if (!pipeline) throw new Error('one pipeline');
  expect(whose(pipeline)).toBe('Records of payments / checkout');
  expect(deeds('1 drop', pipeline.counts)).toEqual([{ what: 'dropped', says: '7 dropped: health check' }]);
  expect(deeds('2 mask', pipeline.counts).map(({ says }) => says)).toEqual([
    '1 value hidden',
    '2 left as they were: the server has no key for pseudonyms',
  ]);
  expect(deeds('3 vrl', pipeline.counts)).toEqual([]);
  expect(() => readInForce({})).toThrow('pipelines');
});

it('the sentence on top says since when, and whether anything failed', () => {
  expect(verdict(readInForce(IN_FORCE), NOW_MS)).toEqual({
    tone: 'warn',
    title: '1 pipeline works on log records before they are stored',
    text: '70 records went through in the 2 min 5 s since the server started: 7 dropped, 1 value hidden and 2 times a stage could not do its work.',
  });
  const [pipeline] = IN_FORCE.pipelines;
  const idle = readInForce({ since: 1_795_480_000, pipelines: [{ ...pipeline, counts: [] }] });
  expect(verdict(idle, NOW_MS).text).toBe('No record went through it in the 2 min 5 s since the server started.');
  expect(verdict(readInForce({ since: 0, pipelines: [] }), NOW_MS).title).toBe('Log records are stored as they come');
});

it('lists read as sentences', () => {
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(listed)).toEqual(['', 'a', 'a and b', 'a, b and c']);
});
