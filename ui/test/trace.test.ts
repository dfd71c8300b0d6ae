import { describe, expect, it } from 'vitest';
import { anyValue, readId, readTrace, type Span } from '../src/api/otlp';
import { buildTree, revealing, ticks, visibleNodes } from '../src/pages/trace/tree';

const span = (
  spanId: string,
  parentId: string,
  start: number,
  end: number,
  status: Span['status'] = 'unset',
): Span => ({
  traceId: 't',
  spanId,
  parentId,
  name: spanId,
  kind: 'server',
  service: `s-${spanId}`,
  startNs: BigInt(start),
  endNs: BigInt(end),
  status,
  statusMessage: '',
  scope: '',
  attributes: [],
  resource: [],
  events: [],
  links: [],
  dropped: 0,
});

it('reads ids in hex and in base64', () => {
  expect(readId('0AF7651916CD43DD8448EB211C80319C', 16)).toBe('0af7651916cd43dd8448eb211c80319c');
  expect(readId('CvdlGRbNQ92ESOshHIAxnA==', 16)).toBe('0af7651916cd43dd8448eb211c80319c');
  expect(readId('t61rcWkgMzE=', 8)).toBe('b7ad6b7169203331');
  expect(readId('', 8)).toBe('');
  expect(readId('0000000000000000', 8)).toBe('');
});

it('reads OTLP values of every kind', () => {
  expect(anyValue({ intValue: '404' })).toBe('404');
  expect(anyValue({ boolValue: false })).toBe('false');
  expect(anyValue({ arrayValue: { values: [{ stringValue: 'a' }, { intValue: '1' }] } })).toBe('["a","1"]');
  expect(anyValue({ kvlistValue: { values: [{ key: 'k', value: { doubleValue: 0.5 } }] } })).toBe('{"k":0.5}');
});

describe('readTrace', () => {
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'web' } }] };
  const spans = [
    {
      traceId: 'a',
      spanId: '00f067aa0ba902b7',
      name: 'GET',
      kind: 'SPAN_KIND_SERVER',
      startTimeUnixNano: '5',
      endTimeUnixNano: '9',
      status: { code: 2 },
    },
  ];
  const inner = [{ resource, scopeSpans: [{ scope: { name: 'lib' }, spans }] }];
  it.each([{ trace: { resourceSpans: inner } }, { batches: inner }, { resourceSpans: inner }])(
    'reads form %#',
    (json) => {
      const [read] = readTrace(json, '/p');
      expect(read).toMatchObject({
        service: 'web',
        kind: 'server',
        scope: 'lib',
        status: 'error',
        startNs: 5n,
        endNs: 9n,
        parentId: '',
      });
    },
  );
  it('refuses an answer that is no trace', () => {
    expect(() => readTrace({ message: 'hello' }, '/p')).toThrow('no resourceSpans');
  });
});

describe('buildTree', () => {
  it('orders children by start and carries errors and counts upwards', () => {
    const tree = buildTree([
      span('root', '', 0, 100),
      span('late', 'root', 50, 60, 'error'),
      span('early', 'root', 10, 20),
      span('leaf', 'late', 52, 55),
    ]);
    expect(visibleNodes(tree, new Set()).map(({ span: { spanId }, depth }) => `${depth}${spanId}`)).toEqual([
      '0root',
      '1early',
      '1late',
      '2leaf',
    ]);
    expect(visibleNodes(tree, new Set(['late'])).map(({ span: { spanId } }) => spanId)).toEqual([
      'root',
      'early',
      'late',
    ]);
    expect(tree.roots[0]).toMatchObject({ below: 3, errorBelow: true, orphan: false });
    expect(tree).toMatchObject({ startNs: 0n, totalMs: 100e-6, spanCount: 4, errorCount: 1 });
  });
  it('keeps spans whose parent is missing, drops copies, and survives loops', () => {
    const tree = buildTree([
      span('a', 'gone', 0, 1),
      span('a', 'gone', 0, 1),
      span('x', 'y', 2, 3),
      span('y', 'x', 2, 3),
      span('z', 'x', 2, 3),
      span('self', 'self', 4, 5),
    ]);
    expect(tree.spanCount).toBe(5);
    expect(visibleNodes(tree, new Set())).toHaveLength(5);
    expect(tree.roots.every(({ orphan }) => orphan)).toBe(true);
    expect(visibleNodes(tree, new Set()).find(({ span: { spanId } }) => spanId === 'z')?.depth).toBe(1);
  });
  it('unfolds what hides a span, and only that', () => {
    const tree = buildTree([
      span('root', '', 0, 9),
      span('a', 'root', 1, 5),
      span('leaf', 'a', 2, 3),
      span('b', 'root', 6, 8),
    ]);
    const leaf = tree.nodes.get('leaf');
    const folded = new Set(['a', 'b']);
    expect(leaf && [...revealing(leaf, folded)]).toEqual(['b']);
    const root = tree.roots[0];
    expect(root && revealing(root, folded)).toBe(folded);
  });
  it('goes as deep as the trace does', () => {
    const deep = Array.from({ length: 20_000 }, (_, index) =>
      span(`${index}`, index ? `${index - 1}` : '', index, 30_000),
    );
    expect(visibleNodes(buildTree(deep), new Set()).at(-1)?.depth).toBe(19_999);
  });
  it('finds nothing in nothing', () => {
    expect(buildTree([])).toMatchObject({ roots: [], spanCount: 0 });
  });
});

it('puts marks on round places', () => {
  expect(ticks(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(ticks(33, 47, 5)).toEqual([35, 40, 45]);
});
