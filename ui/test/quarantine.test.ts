import { expect, test } from 'vitest';
import { readWaiting, type WaitingGroup } from '../src/api/quarantine';
import { became, ofTeam, ownerOf, placeOf, verdict, wrong } from '../src/pages/quarantine/words';

const JSON_GROUP = {
  business_service: 'payments',
  service: 'cards',
  component: 'card-api',
  team: 'till',
  contract: 'payments',
  rule: 'type',
  path: 'payment.amount',
  expected: 'number',
  found: 'a string of 1 to 8 bytes',
  at: 'contracts/payments.json:9',
  records: 3,
  first_unix_nano: 1_760_000_000_000_000_000,
  last_unix_nano: 1_760_000_060_000_000_000,
  trend: [1, 0, 2],
  examples: ['a', 'b'],
};

function group(change: Partial<WaitingGroup> = {}): WaitingGroup {
  const [read] = readWaiting({ records: 3, groups: [JSON_GROUP] }).groups;
  if (!read) throw new Error('one group');
  return { ...read, ...change };
}

test('groups are read as the server tells them', () => {
  expect(group()).toMatchObject({
    team: 'till',
    records: 3,
    firstMs: 1_760_000_000_000,
    trend: [1, 0, 2],
    examples: ['a', 'b'],
  });
  expect(() => readWaiting({ records: 1 })).toThrow('groups');
  expect(() => readWaiting({ records: 1, groups: [{}] })).toThrow('trend');
  expect(readWaiting({ records: 9, groups: [], groups_left_out: 3 }).groupsLeftOut).toBe(3);
});

test('what is wrong is told in words', () => {
  expect(wrong(group())).toBe('payment.amount should be number, and is a string of 1 to 8 bytes');
  expect(wrong(group({ rule: 'required' }))).toBe('payment.amount is missing');
  expect(ownerOf(group())).toEqual({ name: 'payments', below: 'cards / card-api' });
  expect(ownerOf(group({ businessService: '', service: '', component: '' }))).toEqual({
    name: 'unassigned',
    below: '',
  });
});

test('a place is told without the folders of the server', () => {
  expect(placeOf('/etc/tyto/pay/contracts/payments.json:9')).toBe('contracts/payments.json:9');
  expect(placeOf('payments.json:9')).toBe('payments.json:9');
});

test('the sentence on top counts records and components', () => {
  expect(verdict({ records: 0, groups: [], groupsLeftOut: 0 })).toMatchObject({ calm: true, title: 'Nothing waits' });
  expect(verdict({ records: 1, groups: [group()], groupsLeftOut: 0 })).toMatchObject({
    calm: false,
    title: '1 record waits',
  });
  const two = verdict({
    records: 5000,
    groups: [group(), group({ path: 'x' }), group({ component: 'other' })],
    groupsLeftOut: 0,
  });
  expect(two.text).toContain('2 components');
});

test('a team sees what is its own', () => {
  const waiting = {
    records: 9,
    groups: [group({ team: 'till', records: 4 }), group({ team: 'shop', records: 5 })],
    groupsLeftOut: 0,
  };
  const own = ofTeam(waiting, 'till');
  expect([own.groups.length, verdict(own, 'till').title]).toEqual([1, '4 records of team till wait']);
  const none = ofTeam(waiting, 'web');
  expect(verdict(none, 'web')).toMatchObject({ calm: true, title: 'Nothing of team web waits' });
  expect(verdict({ ...none, groupsLeftOut: 3 }, 'web')).toMatchObject({ calm: false });
});

test('an order says what became of it', () => {
  const none = { selected: 0, released: 0, discarded: 0, kept: 0, why: [] };
  expect(became(none)).toBe('Nothing of this waits any more.');
  expect(became({ ...none, selected: 3, released: 2, kept: 1 })).toBe(
    '2 records let in, 1 record breaks the contract still.',
  );
  expect(became({ ...none, selected: 1, discarded: 1 })).toBe('1 record thrown away.');
});
