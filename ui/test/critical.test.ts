import { describe, expect, it } from 'vitest';
import type { Span } from '../src/api/otlp';
import { inWindow, stripes } from '../src/pages/trace/bars';
import { causeOf, messageOf } from '../src/pages/trace/cause';
import { clockShift, criticalPath, disagreement, pathGroups } from '../src/pages/trace/critical';
import { findSpans, nextOf, wordsOf } from '../src/pages/trace/find';
import { identityOf } from '../src/pages/trace/identity';
import { doubtsOf } from '../src/pages/trace/Story';
import { buildTree, foldedAt, ownTime, rowOf, visibleNodes, withAbove, type TraceTree } from '../src/pages/trace/tree';
import { ms } from './spans';

const node = (tree: TraceTree, id: string) => {
  const found = tree.nodes.get(id);
  if (!found) throw new Error(`no span ${id}`);
  return found;
};

/** The path as text: `root 0-10 20-30`, in the order of the trace. */
const pathOf = (spans: Span[]) => {
  const path = criticalPath(buildTree(spans));
  return [...(path?.parts ?? [])]
    .sort(([a], [b]) => a.order - b.order)
    .map(([at, parts]) => `${at.span.spanId} ${parts.map(([from, to]) => `${from}-${to}`).join(' ')}`);
};

describe('the critical path', () => {
  it('is the span itself where nothing is below it', () => {
    expect(pathOf([ms('root', '', 0, 10)])).toEqual(['root 0-10']);
    expect(criticalPath(buildTree([]))).toBeUndefined();
  });
  it('goes through children one after the other and the time between them', () => {
    expect(pathOf([ms('root', '', 0, 100), ms('a', 'root', 10, 40), ms('b', 'root', 50, 90)])).toEqual([
      'root 0-10 40-50 90-100',
      'a 10-40',
      'b 50-90',
    ]);
  });
  it('takes of parallel children the one that ended last, and before it what ended before it began', () => {
    const spans = [
      ms('root', '', 0, 100),
      ms('first', 'root', 0, 30),
      ms('long', 'root', 30, 90),
      ms('short', 'root', 35, 60),
      ms('across', 'root', 20, 50),
    ];
    expect(pathOf(spans)).toEqual(['root 90-100', 'first 0-30', 'long 30-90']);
  });
  it('leaves to the parent what no ended child explains', () => {
    // `across` still ran when `late` began: `late` did not wait for it.
    const spans = [ms('root', '', 0, 60), ms('across', 'root', 5, 30), ms('late', 'root', 20, 60)];
    expect(pathOf(spans)).toEqual(['root 0-20', 'late 20-60']);
  });
  it('leaves out what runs on after its parent', () => {
    const spans = [
      ms('root', '', 0, 50),
      ms('work', 'root', 10, 40),
      ms('background', 'root', 20, 500),
      ms('inner', 'background', 100, 400),
      ms('afterwards', 'root', 60, 80),
    ];
    expect(pathOf(spans)).toEqual(['root 0-10 40-50', 'work 10-40']);
  });
  it('does not wait for the consumer of a message', () => {
    const spans = [
      ms('root', '', 0, 50, { kind: 'server' }),
      ms('send', 'root', 10, 40, { kind: 'producer' }),
      ms('take', 'send', 20, 30, { kind: 'consumer' }),
    ];
    expect(pathOf(spans)).toEqual(['root 0-10 40-50', 'send 10-40']);
  });
  it('goes down through many levels', () => {
    const spans = [ms('a', '', 0, 100), ms('b', 'a', 10, 90), ms('c', 'b', 20, 80), ms('d', 'c', 30, 70)];
    expect(pathOf(spans)).toEqual(['a 0-10 90-100', 'b 10-20 80-90', 'c 20-30 70-80', 'd 30-70']);
    const deep = Array.from({ length: 20_000 }, (_, at) => ms(`${at}`, at ? `${at - 1}` : '', at, 50_000 - at));
    expect(criticalPath(buildTree(deep))?.shares).toHaveLength(20_000);
  });
  it('sets the clock of a server right whose client waited for it', () => {
    const spans = [
      ms('root', '', 0, 100),
      ms('call', 'root', 10, 60, { kind: 'client' }),
      // Its clock is 1000 ms ahead: it ran somewhere within the 50 ms of the call.
      ms('serve', 'call', 1015, 1045, { kind: 'server' }),
      ms('query', 'serve', 1020, 1040),
    ];
    const tree = buildTree(spans);
    expect(clockShift(node(tree, 'serve'))).toBe(-995);
    expect(pathOf(spans)).toEqual([
      'root 0-10 60-100',
      'call 10-20 50-60',
      'serve 1015-1020 1040-1045',
      'query 1020-1040',
    ]);
    expect(disagreement(node(tree, 'serve'))).toEqual({ kind: 'clock', beforeMs: 0, afterMs: 985 });
    expect(doubtsOf(tree, undefined)).toEqual([
      'One span lies outside of its parent: clocks differ. Times are shown as they were sent.',
    ]);
  });
  it('is as long as the root, whatever is below it', () => {
    // A small generator that gives the same numbers every time.
    let seed = 7;
    const random = (below: number) => (seed = (seed * 16807) % 2147483647) % below;
    for (let round = 0; round < 200; round++) {
      const spans = [ms('0', '', 0, 1000)];
      for (let at = 1; at < 60; at++) {
        const start = random(1100);
        spans.push(ms(`${at}`, `${random(at)}`, start, start + random(400), { kind: random(2) ? 'server' : 'client' }));
      }
      const path = criticalPath(buildTree(spans));
      const total = path?.shares.reduce((sum, share) => sum + share.ms, 0) ?? 0;
      expect(total).toBeCloseTo(1000, 0);
      for (const [at, parts] of path?.parts ?? [])
        for (const [from, to] of parts) {
          expect(from).toBeGreaterThanOrEqual(at.start - 1e-6);
          expect(to).toBeLessThanOrEqual(at.end + 1e-6);
        }
    }
  });
  it('adds up what is of one kind', () => {
    const calls = Array.from({ length: 5 }, (_, at) => ms(`q${at}`, 'root', at * 10, at * 10 + 9, { name: 'SELECT' }));
    const path = criticalPath(buildTree([ms('root', '', 0, 60), ...calls]));
    expect(path && pathGroups(path).map(({ name, ms: sum, count }) => [name, sum, count])).toEqual([
      ['SELECT', 45, 5],
      ['root', 15, 1],
    ]);
  });
});

describe('own time', () => {
  it('is what no child covers, however they overlap', () => {
    const tree = buildTree([
      ms('root', '', 0, 100),
      ms('a', 'root', 10, 40),
      ms('b', 'root', 20, 30),
      ms('c', 'root', 35, 60),
      ms('beyond', 'root', 90, 300),
    ]);
    expect(ownTime(node(tree, 'root'))).toEqual([
      [0, 10],
      [60, 90],
    ]);
    expect(node(tree, 'root').self).toBe(40);
  });
});

it('tells work that runs on from clocks that differ', () => {
  const tree = buildTree([ms('root', '', 10, 50), ms('late', 'root', 20, 80), ms('early', 'root', 5, 20)]);
  expect(disagreement(node(tree, 'late'))).toEqual({ kind: 'late', beforeMs: 0, afterMs: 30 });
  expect(disagreement(node(tree, 'early'))).toEqual({ kind: 'clock', beforeMs: 5, afterMs: 0 });
  expect(disagreement(node(tree, 'root'))).toBeUndefined();
});

describe('where a failure began', () => {
  const error = { status: 'error' as const };
  it('is the lowest failed span of the failure that came furthest up', () => {
    const tree = buildTree([
      ms('root', '', 0, 100, error),
      ms('swallowed', 'root', 5, 9),
      ms('lost', 'swallowed', 6, 8, error),
      ms('call', 'root', 10, 90, error),
      ms('serve', 'call', 20, 80, { ...error, statusMessage: 'no such item' }),
      ms('fine', 'serve', 30, 40),
    ]);
    const cause = causeOf(tree);
    expect([cause?.node.span.spanId, cause?.top.span.spanId, cause?.steps, cause?.message]).toEqual([
      'serve',
      'root',
      3,
      'no such item',
    ]);
    expect(causeOf(buildTree([ms('root', '', 0, 1)]))).toBeUndefined();
  });
  it('is the whole call, not the layer of it that carries the other', () => {
    const client = { ...error, kind: 'client' };
    const tree = buildTree([
      ms('root', '', 0, 100),
      ms('GetItem', 'root', 10, 90, { ...client, statusMessage: 'no such table' }),
      ms('POST', 'GetItem', 20, 80, client),
    ]);
    expect([causeOf(tree)?.node.span.spanId, causeOf(tree)?.message]).toEqual(['GetItem', 'no such table']);
  });
  it('says once what was thrown', () => {
    const thrown = {
      name: 'exception',
      ns: 0n,
      attributes: [
        ['exception.type', 'IllegalState', 'string'],
        ['exception.message', 'it broke', 'string'],
      ] as Span['attributes'],
    };
    expect(messageOf(ms('a', '', 0, 1, { statusMessage: 'it broke', events: [thrown] }))).toBe(
      'IllegalState: it broke',
    );
    expect(messageOf(ms('a', '', 0, 1, { attributes: [['http.response.status_code', '404', 'int']] }))).toBe(
      'status 404',
    );
  });
});

it('finds spans by all their words', () => {
  const tree = buildTree([
    ms('root', '', 0, 9, { service: 'Player-API', resource: [['cloud.region', 'eu-west-1', 'string']] }),
    ms('leaf', 'root', 1, 5, { status: 'error', attributes: [['http.response.status_code', '404', 'int']] }),
  ]);
  const found = (text: string) => findSpans(tree.order, text).map(({ span }) => span.spanId);
  expect(wordsOf('a "b  c" D"')).toEqual(['a', 'b  c', 'd"']);
  expect(found('player-api')).toEqual(['root']);
  expect(found('status_code=404 status=error')).toEqual(['leaf']);
  expect(found('region=eu')).toEqual(['root']);
  expect(found('player 404')).toEqual([]);
  expect(found('  ')).toEqual([]);
  expect(nextOf(tree.order, 0)?.span.spanId).toBe('leaf');
  expect(nextOf(tree.order, 1)?.span.spanId).toBe('root');
  expect(nextOf(tree.order, 0, true)?.span.spanId).toBe('leaf');
});

it('shows levels, and spans with all above them', () => {
  const tree = buildTree([ms('a', '', 0, 9), ms('b', 'a', 1, 5), ms('c', 'b', 2, 3), ms('d', 'a', 6, 8)]);
  const ids = (folded: ReadonlySet<string>, kept?: ReturnType<typeof withAbove>) =>
    visibleNodes(tree, folded, kept).map(({ span }) => span.spanId);
  expect(ids(foldedAt(tree, 1))).toEqual(['a']);
  expect(ids(foldedAt(tree, 2))).toEqual(['a', 'b', 'd']);
  expect(ids(new Set(), withAbove([node(tree, 'c')]))).toEqual(['a', 'b', 'c']);
  const rows = visibleNodes(tree, new Set(['b']));
  expect(rowOf(rows, node(tree, 'd'))).toBe(2);
  expect(rowOf(rows, node(tree, 'c'))).toBe(-1);
});

it('draws what is in the window', () => {
  expect(inWindow([0, 10], { from: 0, to: 100 })).toEqual({ left: 0, width: 0.1 });
  expect(inWindow([0, 60], { from: 50, to: 100 })).toEqual({ left: 0, width: 0.2 });
  expect(inWindow([0, 10], { from: 50, to: 100 })).toBeUndefined();
  expect(stripes([[0, 25]], 0, 100, 'red')).toContain('red 0.000%, red 25.000%');
  expect(stripes([], 0, 100, 'red')).toBeUndefined();
  const many = Array.from({ length: 5000 }, (_, at): [number, number] => [at * 2, at * 2 + 1]);
  expect(stripes(many, 0, 10_000, 'red')?.split('red').length).toBe(161);
});

it('knows whose a span is', () => {
  const resource: Span['resource'] = [
    ['omd.business_service', 'payments', 'string'],
    ['service.namespace', 'shop', 'string'],
  ];
  expect(identityOf({ service: 'checkout-api', resource })).toMatchObject({
    businessService: 'payments',
    service: 'shop',
    component: 'checkout-api',
    team: '',
  });
});
