import { describe, expect, it } from 'vitest';
import { readContractTrial } from '../src/api/contracts';
import { readTrial } from '../src/api/pipelines';
import { changes, textDiff } from '../src/pages/drafts/diff';
import { marksOf, problemsOf, refusalOf, sentence } from '../src/pages/drafts/problems';
import {
  contractVerdict,
  didInTrial,
  fateWords,
  fates,
  headOf,
  judgedWords,
  limitOf,
  lineOf,
  noteWords,
  outcomeWords,
  periodOf,
  pipelineVerdict,
  recordsOf,
  toldFirst,
} from '../src/pages/drafts/words';

describe('two texts', () => {
  const marked = (before: string, after: string) =>
    textDiff(before, after)
      .map(({ text, kind }) => (kind === 'same' ? text : kind === 'removed' ? `-${text}-` : `+${text}+`))
      .join('');

  it.each([
    ['same', 'same', 'same'],
    ['', 'all new', '+all new+'],
    ['all gone', '', '-all gone-'],
    [
      'paid with 4111 1111 1111 1111 by ann@example.com.',
      'paid with [masked:card] by [masked:email].',
      'paid with -4111 1111 1111 1111-+[masked:card]+ by -ann@example.com-+[masked:email]+.',
    ],
    ['a b c', 'a c', 'a -b -c'],
    ['naïve Ärger', 'naïve Zorn', 'naïve -Ärger-+Zorn+'],
  ])('%s > %s', (before, after, expected) => {
    expect(marked(before, after)).toBe(expected);
  });

  it('very long ones are compared by their ends', () => {
    const long = Array.from({ length: 2000 }, (_, index) => `w${index}`).join(' ');
    expect(textDiff(`a ${long} z`, `a x z`).map(({ kind }) => kind)).toEqual(['same', 'removed', 'added', 'same']);
  });

  it('nothing of either is lost', () => {
    const [before, after] = ['one, two; three (four) five', 'two, one: three [five] six'];
    const pieces = textDiff(before, after);
    const of = (other: string) =>
      pieces
        .filter(({ kind }) => kind !== other)
        .map(({ text }) => text)
        .join('');
    expect([of('added'), of('removed')]).toEqual([before, after]);
  });
});

it('what a record has otherwise is told by name', () => {
  const before = {
    timestamp: 't',
    severity_number: 9,
    severity_text: 'INFO',
    body: 'a',
    attributes: { a: 1, b: 'x', same: [1] },
  };
  const after = {
    timestamp: 't',
    severity_number: 13,
    severity_text: 'WARN',
    body: 'b',
    attributes: { a: 1, c: { d: 2 }, same: [1] },
  };
  expect(changes(before, after)).toEqual([
    { name: 'level', kind: 'changed', before: 'INFO', after: 'WARN' },
    { name: 'b', kind: 'removed', before: 'x', after: '' },
    { name: 'c', kind: 'added', before: '', after: '{"d":2}' },
  ]);
  expect(changes({ severity_number: 9 }, { severity_number: 13 })).toEqual([
    { name: 'level', kind: 'changed', before: '9', after: '13' },
  ]);
});

describe('what is wrong with a draft', () => {
  const file = '/srv/a:b/pipelines/pay.yaml';

  it('stands at its place', () => {
    const problems = problemsOf(
      [`${file}:12:5: cannot use "msak": did you mean 1:2: x?`, `${file}: cannot read`, 'x.csv:1:1: bad'],
      file,
    );
    expect(problems).toEqual([
      { place: { line: 12, column: 5 }, what: 'cannot use "msak": did you mean 1:2: x?' },
      { place: undefined, what: 'cannot read' },
      { place: undefined, what: 'x.csv:1:1: bad' },
    ]);
    expect(marksOf(problems)).toEqual([{ line: 12, column: 5, what: 'cannot use "msak": did you mean 1:2: x?' }]);
    expect(sentence('cannot read')).toBe('Cannot read');
  });

  it('is told apart from other refusals', () => {
    expect(refusalOf('cannot use the draft:\nc.json:3:1: cannot parse', 'c.json')).toEqual([
      { place: { line: 3, column: 1 }, what: 'cannot parse' },
    ]);
    expect(refusalOf('cannot try c: nobody has it', 'c.json')).toBeUndefined();
  });
});

const note = (stage: string, what: string, reason = '') => ({ stage, what, reason });
const TRIAL = readTrial({
  pipeline: { name: 'p', stages: [{ stage: '2 drop', kind: 'drop', when: null, does: {} }] },
  problems: [],
  records: [
    { before: { body: 'a' }, after: { body: 'b' }, matched: true, dropped: null, notes: [note('1 mask', 'masked')] },
    {
      before: { body: 'x' },
      after: null,
      matched: true,
      dropped: note('2 drop', 'dropped', 'health_check'),
      notes: [],
    },
    {
      before: { body: 'x' },
      after: { body: 'x' },
      matched: true,
      dropped: null,
      notes: [note('3 vrl', 'failed', 'time')],
    },
    { before: { body: 'x' }, after: { body: 'x' }, matched: false, dropped: null, notes: [] },
  ],
});

describe('a trial of a pipeline', () => {
  it('says what became of each record', () => {
    expect(fates(TRIAL.records)).toEqual({ changed: 1, dropped: 1, same: 2 });
    expect(TRIAL.records.map(fateWords)).toEqual([
      'Changed',
      'Dropped by stage 2: health check',
      'As it was',
      'Not meant: the condition of the whole does not hold',
    ]);
    const last = TRIAL.records[3];
    expect(toldFirst([...TRIAL.records].reverse()).at(-1)).toBe(last);
    expect(TRIAL.records.flatMap(noteWords).map(({ says }) => says)).toEqual([
      'Stage 1 hid something',
      'Stage 3 left it as it was: it took too long',
    ]);
    const did = (kind: string) =>
      didInTrial({ stage: kind, kind: '', when: '', does: {} }, TRIAL.records).map(({ says }) => says);
    expect(['1 mask', '2 drop', '3 vrl', '4 event'].map(did)).toEqual([
      ['hid values in 1 record'],
      ['1 dropped'],
      ['1 left as they were: it took too long'],
      [],
    ]);
  });

  it('has a sentence', () => {
    expect(pipelineVerdict(TRIAL)).toEqual({
      tone: 'warn',
      title: 'Of 4 records 1 would be changed, 1 would be dropped and in 1 a stage could not do its work',
    });
    expect(pipelineVerdict({ ...TRIAL, records: TRIAL.records.slice(3) }).title).toBe(
      'Of 1 record none would be different',
    );
    expect(pipelineVerdict({ ...TRIAL, records: [] }).tone).toBeUndefined();
    expect(pipelineVerdict({ ...TRIAL, problems: ['a', 'b'] }).title).toBe('This file cannot be used: 2 mistakes');
  });

  it('takes lines as they are and as JSON', () => {
    expect(recordsOf('plain\n\n {"body": "b"}\n{broken\n')).toEqual(['plain', { body: 'b' }, '{broken']);
    const resource = { 'omd.business_service': 'pay', 'omd.component': 'api', 'service.name': 'x' };
    expect(headOf({ timestamp: 't', resource })).toEqual({ owner: 'pay / api', time: 't' });
    expect(headOf({ resource: { 'service.name': 'x' } })).toEqual({ owner: 'x', time: '' });
  });

  it('reads what the address says', () => {
    expect([periodOf('6h', '1h').seconds, periodOf(undefined, '24h').value, periodOf('no', '24h').value]).toEqual([
      21_600,
      '24h',
      '1h',
    ]);
    expect([limitOf('100'), limitOf('7'), limitOf(undefined)]).toEqual([100, 20, 20]);
  });
});

describe('a trial of a contract', () => {
  const trial = readContractTrial({
    contracts: ['payments'],
    came: 412_330,
    sampled: true,
    records: 20_000,
    broken: 31,
    observed: 6,
    quarantined: 25,
    rejected: 0,
    breaches: [
      {
        path: 'a',
        rule: 'enum',
        at: '/srv/contracts/p.json:5',
        sample: { a: 'a number' },
        records: { observed: 6, quarantined: 25, rejected: 0 },
      },
      { path: 'b', rule: 'type', at: 'core.json:2', sample: {}, records: { observed: 0, quarantined: 0, rejected: 1 } },
    ],
    breaches_left_out: 0,
  });

  it('says how many break it, and of which', () => {
    expect(contractVerdict(trial)).toEqual({ tone: 'warn', title: '31 of 20 000 records break the contract (0.15 %)' });
    expect(contractVerdict({ ...trial, broken: 0 })).toEqual({
      tone: undefined,
      title: 'None of the 20 000 records that were looked at breaks the contract',
    });
    expect(contractVerdict({ ...trial, broken: 0, sampled: false })).toEqual({
      tone: 'ok',
      title: 'All 20 000 records keep the contract',
    });
    expect(contractVerdict({ ...trial, records: 0 }).tone).toBeUndefined();
    expect(judgedWords(trial, 'the last hour', '')).toMatch(
      /^Judged was a sample in the last hour: 20 000 records with the contract payments, of 412 330 that their business services sent, spread/,
    );
    expect(judgedWords({ ...trial, judgedFromMs: 1_760_000_000_000 }, 'the last hour', 'pay')).toMatch(
      /records of pay, of 412 330 that came, only the newest, back to/,
    );
    expect(judgedWords({ ...trial, sampled: false }, 'the last hour', 'pay/till')).toBe(
      'Judged were all records of pay / till that came in the last hour.',
    );
  });

  it('says what would happen to them, and where the rule stands', () => {
    expect(trial.breaches.map(outcomeWords)).toEqual([
      ': 25 would be set aside and 6 stored and only counted',
      ' would be refused',
    ]);
    expect(trial.breaches.map(({ at }) => lineOf(at, '/srv/contracts/p.json'))).toEqual([5, undefined]);
  });
});
