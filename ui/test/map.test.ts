import { describe, expect, it } from 'vitest';
import { readMap, type Edge, type Entity, type TopologyMap } from '../src/api/topology';
import { outcomeOf, spansBetween } from '../src/pages/map/calls';
import { around, foldMap, isOpen, linkId, type Graph, type Level } from '../src/pages/map/fold';
import { byTrouble, rateWords, sentenceOf, stateOf } from '../src/pages/map/health';
import { curve, layout, type Box } from '../src/pages/map/layout';
import { layer } from '../src/pages/map/layers';
import { labelled, slowest, slowStep, tintOf } from '../src/pages/map/looks';
import { entityAt, leadsOf, selectorOf } from '../src/pages/map/links';
import { neighbour } from '../src/pages/map/move';
import { deploysOf } from '../src/pages/service/queries';

const HOUR = 3600;

function entity(id: string, more: Partial<Entity> = {}): Entity {
  const [kind = '', place = ''] = id.split(':');
  const parts = place.split('/');
  const parent =
    kind === 'component' && parts.length === 3
      ? `service:${parts[0]}/${parts[1]}`
      : kind === 'service'
        ? `business_service:${parts[0]}`
        : undefined;
  return {
    id,
    kind: kind as Entity['kind'],
    name: parts.at(-1) ?? '',
    businessService: /^(component|service)$/.test(kind) ? parts[0] : undefined,
    service: kind === 'component' ? parts[1] : undefined,
    parent,
    rate: 1,
    errorRate: 0,
    p95Seconds: 0.01,
    firstSeen: 1,
    lastSeen: 2,
    declared: true,
    ...more,
  };
}

function edge(from: string, to: string, more: Partial<Edge> = {}): Edge {
  const seen = { rate: 1, errorRate: 0, p50Seconds: 0.005, p95Seconds: 0.01, firstSeen: 1, lastSeen: 2 };
  return { from, to, kind: 'call', declared: true, ...seen, ...more };
}

const SHOP = 'component:payments/checkout/checkout-api';
const TAX = 'component:payments/checkout/tax';
const LEDGER = 'component:payments/books/ledger';
const LOGIN = 'component:login/auth/auth-api';
const DB = 'database:orders';
const USER = 'user:user';

function company(edges: Edge[]): TopologyMap {
  const groups = ['payments', 'login'].map((name) => entity(`business_service:${name}`));
  const services = ['payments/checkout', 'payments/books', 'login/auth'].map((name) => entity(`service:${name}`));
  const leaves = [SHOP, TAX, LEDGER, LOGIN, DB, USER].map((id) => entity(id));
  return { start: 0, end: HOUR, entities: [...groups, ...services, ...leaves], edges, warnings: [] };
}

const CALLS = [
  edge(USER, SHOP),
  edge(SHOP, TAX),
  edge(SHOP, LOGIN),
  edge(SHOP, DB),
  edge(LEDGER, DB),
  edge(TAX, LEDGER),
];

function drawn(map: TopologyMap, level: Level, flipped: string[] = []): Graph {
  const set = new Set(flipped);
  return foldMap(map, { open: (each) => isOpen(each, level, set), undeclared: new Set() });
}

describe('folding', () => {
  it('adds up the calls between what is folded, and leaves out those inside', () => {
    const graph = drawn(company(CALLS), 'business_service');
    expect([...graph.nodes.keys()].sort()).toEqual([
      'business_service:login',
      'business_service:payments',
      'database:orders',
      'user:user',
    ]);
    const link = graph.links.find(({ id }) => id === linkId('business_service:payments', DB));
    expect(link).toMatchObject({ rate: 2, parts: [{ from: SHOP }, { from: LEDGER }] });
    expect(graph.links).toHaveLength(3);
    expect(graph.nodes.get('business_service:payments')?.folded).toBe(3);
  });

  it('unfolds one part in place, and draws no frame around one thing', () => {
    const graph = drawn(company(CALLS), 'business_service', ['business_service:payments', 'service:payments/checkout']);
    expect(graph.nodes.get('business_service:payments')?.children.map((child) => child.entity.id)).toEqual([
      'service:payments/books',
      'service:payments/checkout',
    ]);
    expect(graph.nodes.get('business_service:login')?.folded).toBe(1);
    const finest = drawn(company(CALLS), 'component');
    expect(finest.nodes.has('service:payments/books')).toBe(false);
    expect(finest.nodes.get('service:payments/checkout')?.children).toHaveLength(2);
  });

  it('tells what is only declared from what nobody declared', () => {
    const map = company([
      edge(SHOP, DB, { kind: 'declared', rate: 0, firstSeen: undefined, lastSeen: undefined }),
      edge(SHOP, LOGIN),
    ]);
    const graph = foldMap(map, { open: () => true, undeclared: new Set([linkId(SHOP, LOGIN)]) });
    expect(graph.links.map(({ to, drift }) => [to, drift])).toEqual([
      [LOGIN, 'undeclared'],
      [DB, 'unseen'],
    ]);
  });

  it('finds neighbours, everybody upstream, and everybody downstream', () => {
    const map = company([...CALLS, edge(LEDGER, TAX)]);
    expect(around(map, LEDGER, 'near')).toEqual(new Set([LEDGER, TAX, DB]));
    expect(around(map, LEDGER, 'up')).toEqual(new Set([LEDGER, TAX, SHOP, USER]));
    expect(around(map, 'service:login/auth', 'up')).toEqual(new Set([LOGIN, SHOP, USER]));
    expect(around(map, SHOP, 'down')).toEqual(new Set([SHOP, TAX, LOGIN, DB, LEDGER]));
  });
});

/** Numbers from a seed: the same in every run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return Math.floor((state / 4294967296) * below);
  };
}

function large(components: number, calls: number): TopologyMap {
  const roll = dice(7);
  const ids = Array.from({ length: components }, (_, at) => `component:b${at % 12}/s${at % 40}/c${at}`);
  const above = new Set(ids.flatMap((id) => [entity(id).parent ?? '', `business_service:${id.split(/[:/]/)[1]}`]));
  const edges = new Map<string, Edge>();
  while (edges.size < calls) {
    const [from, to] = [ids[roll(components)] ?? '', ids[roll(components)] ?? ''];
    if (from !== to) edges.set(linkId(from, to), edge(from, to));
  }
  const entities = [...[...above].map((id) => entity(id)), ...ids.map((id) => entity(id))];
  return { start: 0, end: HOUR, entities, edges: [...edges.values()], warnings: [] };
}

function overlapping(graph: Graph): [string, string][] {
  const { boxes } = layout(graph);
  const inside = new Map<string, string>();
  for (const node of graph.nodes.values())
    for (const child of node.children) inside.set(child.entity.id, node.entity.id);
  const above = (id: string): string[] => {
    const parent = inside.get(id);
    return parent === undefined ? [] : [parent, ...above(parent)];
  };
  const list = [...boxes];
  const touch = (a: Box, b: Box) =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
  return list.flatMap(([a, first], index) =>
    list
      .slice(index + 1)
      .filter(([b, second]) => touch(first, second) && !above(a).includes(b) && !above(b).includes(a))
      .map(([b]): [string, string] => [a, b]),
  );
}

describe('looks', () => {
  it('tell durations by five colours, and nothing of what nobody calls', () => {
    expect([0.002, 0.01, 0.2, 0.9, 4].map(slowStep)).toEqual([0, 1, 2, 3, 4]);
    expect(tintOf('latency', { rate: 1, p95Seconds: 0.3 })).toBe('var(--slow-3)');
    expect(tintOf('latency', { rate: 0, p95Seconds: 0.3 })).toBeUndefined();
    expect(tintOf('errors', { rate: 1, p95Seconds: 0.3 })).toBeUndefined();
  });

  it('label the slowest lines only, and follow the slowness to its end', () => {
    const slow = (from: string, to: string, p95Seconds: number) => edge(from, to, { p95Seconds });
    const calls = [slow(USER, SHOP, 2), slow(SHOP, TAX, 0.1), slow(SHOP, LEDGER, 1.9), slow(LEDGER, DB, 1.8)];
    const graph = drawn(company(calls), 'component');
    expect(slowest(graph)?.id).toBe(linkId(LEDGER, DB));
    expect([...labelled('latency', graph.links)][0]).toEqual([linkId(USER, SHOP), '2 s']);
    expect(labelled('errors', graph.links).size).toBe(0);
    expect(slowest(drawn(company([slow(SHOP, TAX, 1), slow(TAX, SHOP, 1)]), 'component'))).toBeDefined();
  });
});

describe('layout', () => {
  it('puts callers before what they call, and long lines around what they pass', () => {
    const box = { width: 100, height: 40 };
    const { spots, bends } = layer(
      ['a', 'b', 'c'].map((id) => ({ id, ...box })),
      [
        { from: 'a', to: 'b' },
        { from: 'b', to: 'c' },
        { from: 'a', to: 'c' },
      ],
    );
    const x = (id: string) => spots.get(id)?.x ?? NaN;
    expect(x('a')).toBeLessThan(x('b'));
    expect(x('b')).toBeLessThan(x('c'));
    const [bend] = bends.get('a > c') ?? [];
    const b = spots.get('b') ?? { x: 0, y: 0 };
    expect(bend && (bend.y < b.y || bend.y > b.y + box.height)).toBe(true);
  });

  it('untangles lines that need not cross', () => {
    const nodes = ['a', 'b', 'y', 'z'].map((id) => ({ id, width: 10, height: 10 }));
    const { spots } = layer(nodes, [
      { from: 'a', to: 'z' },
      { from: 'b', to: 'y' },
    ]);
    const y = (id: string) => spots.get(id)?.y ?? NaN;
    expect(Math.sign(y('a') - y('b'))).toBe(Math.sign(y('z') - y('y')));
  });

  it('ends with cycles, with a call of itself, and with nothing at all', () => {
    const graph = drawn(company([edge(SHOP, TAX), edge(TAX, SHOP), edge(LOGIN, LOGIN)]), 'component');
    const { routes } = layout(graph);
    expect(routes.get(linkId(SHOP, TAX))?.points.length).toBeGreaterThan(1);
    expect(curve(routes.get(linkId(LOGIN, LOGIN)) ?? { points: [], downward: false })).toMatch(/^M.+C/);
    expect(layout({ roots: [], nodes: new Map(), links: [] })).toMatchObject({ width: 0, height: 0 });
  });

  it('overlaps nothing, at any level, whatever is unfolded', () => {
    const map = large(200, 600);
    for (const level of ['business_service', 'service', 'component'] as const)
      expect(overlapping(drawn(map, level, ['business_service:b3', 'service:b4/s4']))).toEqual([]);
  });

  it('is the same every time, in whatever order the server answers', () => {
    const map = large(60, 150);
    const again = { ...map, entities: [...map.entities].reverse(), edges: [...map.edges].reverse() };
    const [one, two] = [layout(drawn(map, 'component')), layout(drawn(again, 'component'))];
    expect([...two.boxes].sort()).toEqual([...one.boxes].sort());
    expect([...two.routes].sort()).toEqual([...one.routes].sort());
  });

  it('draws 200 components with 600 connections in less than 100 ms of processor time', () => {
    const graph = drawn(large(200, 600), 'component');
    layout(graph);
    const took = Array.from({ length: 5 }, () => {
      const began = process.cpuUsage();
      layout(graph);
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1000;
    });
    expect(Math.min(...took)).toBeLessThan(100);
  });

  it('puts a database into the frame of those who alone use it, and folds a long strip', () => {
    const graph = drawn(company([edge(SHOP, DB), edge(TAX, DB), edge(USER, SHOP), edge(LOGIN, SHOP)]), 'component');
    const { boxes } = layout(graph);
    const within = (inner: Box | undefined, outer: Box | undefined) =>
      inner !== undefined &&
      outer !== undefined &&
      inner.x > outer.x &&
      inner.x + inner.width < outer.x + outer.width &&
      inner.y > outer.y &&
      inner.y + inner.height < outer.y + outer.height;
    expect(within(boxes.get(DB), boxes.get('service:payments/checkout'))).toBe(true);
    const shared = layout(drawn(company([edge(SHOP, DB), edge(LOGIN, DB)]), 'component'));
    expect(within(shared.boxes.get(DB), shared.boxes.get('business_service:payments'))).toBe(false);

    const chain = Array.from({ length: 12 }, (_, at) => `component:unassigned/n${at}`);
    const strip = { ...company([]), entities: chain.map((id) => entity(id, { parent: undefined })) };
    const calls = chain.slice(1).map((id, at) => edge(chain[at] ?? '', id));
    const { width, height } = layout(drawn({ ...strip, edges: calls }, 'component'));
    expect(width).toBeLessThan(12 * 190);
    expect(height).toBeGreaterThan(46);
  });

  it('leads the arrow keys to the next node', () => {
    const box = (x: number, y: number): Box => ({ x, y, width: 10, height: 10, depth: 0 });
    const boxes = new Map([
      ['a', box(0, 0)],
      ['b', box(100, 10)],
      ['c', box(50, 200)],
    ]);
    const all = new Set(boxes.keys());
    expect(neighbour(boxes, all, 'a', 'right')).toBe('b');
    expect(neighbour(boxes, all, 'a', 'down')).toBe('c');
    expect(neighbour(boxes, all, 'a', 'left')).toBeUndefined();
  });
});

describe('words', () => {
  it('judges by the part that failed, and makes nothing red for one failure of many', () => {
    const of = (requests: number, failed: number) =>
      stateOf({ rate: requests / HOUR, errorRate: failed / HOUR, lastSeen: 1 }, HOUR);
    expect(of(100, 12)).toBe('failing');
    expect(of(1000, 12)).toBe('degraded');
    expect(of(10_000, 12)).toBe('healthy');
    expect(of(20, 1)).toBe('degraded');
    expect(of(1, 1)).toBe('failing');
    expect(of(0, 0)).toBe('rest');
    expect(stateOf({ rate: 0, errorRate: 0, lastSeen: undefined }, HOUR)).toBe('unseen');
  });

  it('says what is wrong where it began, not where it was felt', () => {
    const bad = { rate: 1, errorRate: 0.12 };
    const graph = drawn(company([edge(USER, SHOP, { ...bad, errorRate: 0.2 }), edge(SHOP, DB, bad)]), 'component');
    expect(sentenceOf(graph, HOUR).text).toBe(
      'checkout-api calls orders: 12 % fail; users ask checkout-api: 20 % fail.',
    );
    expect(byTrouble(graph.links, HOUR)[0]?.from).toBe(USER);
    expect(sentenceOf(drawn(company([edge(USER, SHOP)]), 'component'), HOUR).text).toBe(
      'The one connection with traffic is healthy.',
    );
    expect(sentenceOf(drawn(company([]), 'component'), HOUR).state).toBe('rest');
  });

  it('writes slow rates by the minute and by the hour', () => {
    expect([12.34, 0.5, 0.02, 0.001, 0].map(rateWords)).toEqual(['12.3/s', '0.5/s', '1.2/min', '3.6/h', 'none']);
  });

  it('says a span’s end once', () => {
    expect(outcomeOf(['404', 'ResourceNotFoundException', 'Requested resource not found'])).toBe(
      '404 · ResourceNotFoundException · Requested resource not found',
    );
    expect(outcomeOf(['500', '500', ''])).toBe('500');
  });
});

describe('links', () => {
  it('finds what is asked of a database, a queue, a component and by users', () => {
    const [shop, db, user] = [entity(SHOP), entity(DB), entity(USER)];
    const queue = entity("queue:it's");
    expect(spansBetween(shop, db, '1', '2')).toContain("c.attributes['server.address'] = 'orders'");
    expect(spansBetween(shop, queue, '1', '2')).toContain("= 'it''s'");
    // What AWS runs is asked by the name of its service, whatever the host.
    const dynamodb = spansBetween(shop, entity('database:dynamodb.amazonaws.com'), '1', '2');
    expect(dynamodb).toMatch(/'aws-api' AND lower\(.*\) = 'dynamodb'/);
    expect(spansBetween(shop, queue, '1', '2')).toContain("c.kind = 'producer' OR c.kind = 'client'");
    expect(spansBetween(user, shop, '1', '2')).toContain('c.parent_span_id IS NULL');
    expect(spansBetween(shop, entity(TAX), '1', '2')).toContain('s.parent_span_id = c.span_id');
  });

  it('leads to a component’s own records, and knows what nobody claims by its own name', () => {
    expect(selectorOf(entity(SHOP))).toBe('{business_service="payments", component="checkout-api"}');
    const geo = entity('component:unassigned/geo', { businessService: 'unassigned', service: undefined });
    expect(selectorOf(geo)).toBe('{service_name="geo"}');
    expect(leadsOf(geo).traces(true)).toEqual({ tags: 'service.name=geo status=error' });
    expect(leadsOf(entity(DB)).logs).toBeUndefined();
  });

  it('finds an entity by its place, and by its name alone', () => {
    const { entities } = company([]);
    expect(entityAt(entities, 'payments/checkout/tax')?.id).toBe(TAX);
    expect(entityAt(entities, 'tax')?.id).toBe(TAX);
    expect(entityAt(entities, 'payments', 'business_service')?.kind).toBe('business_service');
    expect(entityAt(entities, 'nobody')).toBeUndefined();
  });

  it('reads the server’s map', () => {
    const map = readMap({ start: 1, end: 2, entities: [{ id: DB, kind: 'database', name: 'orders' }], edges: [] });
    expect(map.entities[0]).toMatchObject({ id: DB, parent: undefined, rate: 0, firstSeen: undefined });
    expect(() => readMap({ entities: [] })).toThrow(/edges/);
  });
});

describe('deployments', () => {
  it('are versions that came after others of the same component and environment', () => {
    const version = (name: string, firstMs: number, environment = 'production') => ({
      component: 'api',
      version: name,
      environment,
      firstMs,
      lastMs: firstMs + 1,
    });
    const found = deploysOf([version('2', 50), version('1', 10), version('2', 30, 'staging')]);
    expect(found).toMatchObject([{ version: '2', before: '1', environment: 'production' }]);
  });
});
