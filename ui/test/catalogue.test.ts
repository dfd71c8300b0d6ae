import { expect, test } from 'vitest';
import { readEntries, readPage, type Sender } from '../src/api/catalogue';
import {
  contactLink,
  dependencyWords,
  mostMissing,
  ruleWords,
  said,
  sentWords,
  snippet,
  verdict,
} from '../src/pages/catalogue/words';

const ENTRY = {
  kind: 'component',
  path: 'payments/checkout/api',
  name: 'api',
  teams: ['billing'],
  parts: 0,
  expected: 9,
  missing: ['runbook', 'tier'],
};
const read = (...entries: unknown[]) => readEntries({ entries, left_out: 0, gaps: {} }).entries;

test('entries say how much is said of them', () => {
  const [entry, whole] = read(ENTRY, { ...ENTRY, missing: [] });
  if (!entry || !whole) throw new Error('two entries');
  expect(said(entry)).toBe('7 of 9');
  expect(said(whole)).toBe('complete');
  expect(entry.description).toBe('');
  expect(() => readEntries({})).toThrow('entries');
});

test('the verdict counts, and names what is missing most', () => {
  const entries = read(
    { ...ENTRY, kind: 'business_service', missing: [] },
    ENTRY,
    { ...ENTRY, missing: ['tier'] },
    { ...ENTRY, kind: 'team', missing: ['on_call'] },
  );
  expect(verdict(entries).title).toBe('2 components of 1 business service, owned by 1 team');
  expect(verdict(entries).text).toBe(
    'None of the components says all that is expected. Most often missing: tier (2), runbook (1).',
  );
  expect(verdict([]).title).toBe('Nothing is declared yet');
  expect(verdict(read({ ...ENTRY, missing: [] })).text).toContain('Every component');
  expect(mostMissing(entries)[0]).toEqual(['tier', 2]);
});

test('a page is read with its rules, contacts and dependencies', () => {
  const page = readPage({
    entry: ENTRY,
    held: { tier: { value: '1', from: 'payments' } },
    owners: [{ team: 'billing', slack: '#pay', on_call: '+49' }],
    owners_from: 'payments',
    links: [],
    runbooks: [{ title: 'Books', url: 'https://x', from: 'payments' }],
    match: [{ 'service.name': 'api', host: { regex: 'a.+' } }],
    depends_on: [{ database: 'orders' }, { component: 'a/b/c' }],
    needed_by: ['x/y/z'],
    parts: [],
    retention: { logs: '30d' },
    declared_at: { file: 'omd.yaml', line: 7, column: 1 },
    gaps: { tier: { what: 'w', fix: 'f' } },
  });
  expect(page.owners).toEqual([
    {
      team: 'billing',
      contacts: [
        ['slack', '#pay'],
        ['on_call', '+49'],
      ],
    },
  ]);
  expect(page.rules[0]?.map(([name, pattern]) => ruleWords(name, pattern).join(' '))).toEqual([
    'service.name is api',
    'host fits the expression a.+',
  ]);
  expect(page.dependsOn?.map(dependencyWords)).toEqual(['orders (database)', 'a/b/c']);
  expect(page.declaredAt).toBe('omd.yaml:7');
  expect(readPage({ entry: ENTRY, depends_on: null }).dependsOn).toBeUndefined();
  expect(ruleWords('app', { text: 'a-*', regex: false })[0]).toBe('app is like');
});

test('an unclaimed sender comes with what claims it', () => {
  const sender: Sender = {
    attribute: 'job',
    value: 'shop/geo lookup',
    logs: 1,
    spans: 0,
    series: 3,
    lastMs: 0,
    rule: '- job: "shop/geo lookup"',
    claimedBy: '',
    looksLike: '',
  };
  expect(sentWords(sender)).toBe('1 log record and 3 series');
  expect(sentWords({ ...sender, spans: 2 })).toBe('1 log record, 2 spans and 3 series');
  expect(snippet(sender)).toContain('- name: geo-lookup\n          match:\n            - job: "shop/geo lookup"');
});

test('contacts lead somewhere where they can', () => {
  expect(contactLink('email', 'a@b.c')).toBe('mailto:a@b.c');
  expect(contactLink('github', 'a/b')).toBe('https://github.com/a/b');
  expect(contactLink('slack', '#a')).toBeUndefined();
  expect(contactLink('on_call', 'https://duty')).toBe('https://duty');
});
