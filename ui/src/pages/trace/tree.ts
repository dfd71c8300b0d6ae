import type { Span } from '../../api/otlp';
import type { timeWords } from '../../app/address';

export interface Node {
  span: Span;
  /** Its place among all spans, depth first: what is below a span follows it. */
  order: number;
  depth: number;
  children: Node[];
  parent: Node | undefined;
  /** Spans below this one. */
  below: number;
  /** An error in it or anywhere below, so that folding never hides one. */
  errorBelow: boolean;
  /** True when the span names a parent that did not arrive. */
  orphan: boolean;
  /** Milliseconds from the start of the trace, by the clock of whoever sent the span. */
  start: number;
  end: number;
  /** Milliseconds in which none of its children ran. */
  self: number;
}

export interface TraceTree {
  roots: Node[];
  /** Every span by its id. */
  nodes: Map<string, Node>;
  /** Every span, depth first, children in order of start. */
  order: Node[];
  startNs: bigint;
  /** How long the trace took from its first start to its last end, milliseconds. */
  totalMs: number;
  /** In order of first appearance, which gives each its colour. */
  services: string[];
  depth: number;
  spanCount: number;
  errorCount: number;
}

/** Spans as a tree in order of start. Copies of a span are dropped; loops and missing parents end in a root of their own. */
export function buildTree(spans: Span[]): TraceTree {
  const nodes = new Map<string, Node>();
  const startNs = spans.reduce((least, { startNs: at }) => (at < least ? at : least), spans[0]?.startNs ?? 0n);
  for (const span of spans) {
    if (nodes.has(span.spanId)) continue;
    const start = Number(span.startNs - startNs) / 1e6;
    const end = Math.max(start, Number(span.endNs - startNs) / 1e6);
    const children: Node[] = [];
    nodes.set(span.spanId, {
      ...{ span, order: 0, depth: 0, children, parent: undefined, below: 0, errorBelow: false, orphan: false },
      ...{ start, end, self: 0 },
    });
  }
  const roots: Node[] = [];
  const looped = onLoops(nodes);
  for (const node of nodes.values()) {
    const parent = nodes.get(node.span.parentId);
    if (parent && !looped.has(node)) {
      node.parent = parent;
      parent.children.push(node);
    } else {
      node.orphan = node.span.parentId !== '';
      roots.push(node);
    }
  }
  const byStart = (a: Node, b: Node) => a.start - b.start || b.end - a.end;
  for (const node of nodes.values()) if (node.children.length > 1) node.children.sort(byStart);
  roots.sort(byStart);
  const order = inOrder(roots);
  sumUp(order);
  return {
    roots,
    nodes,
    order,
    startNs,
    totalMs: order.reduce((most, { end }) => Math.max(most, end), 0),
    services: [...new Set(order.map(({ span }) => span.service))],
    depth: order.reduce((most, { depth }) => Math.max(most, depth), 0),
    spanCount: order.length,
    errorCount: order.reduce((sum, { span }) => sum + (span.status === 'error' ? 1 : 0), 0),
  };
}

/** The spans that are their own ancestors: a trace is data from outside. Those that only hang below a loop keep their parents. */
function onLoops(nodes: Map<string, Node>): Set<Node> {
  const looped = new Set<Node>();
  const done = new Set<Node>();
  for (const start of nodes.values()) {
    const path = new Set<Node>();
    let at: Node | undefined = start;
    while (at && !done.has(at) && !path.has(at)) {
      path.add(at);
      at = nodes.get(at.span.parentId);
    }
    if (at && path.has(at)) {
      const all = [...path];
      for (const node of all.slice(all.indexOf(at))) looped.add(node);
    }
    for (const node of path) done.add(node);
  }
  return looped;
}

/** Depth first, without recursion: a trace may be as deep as it has spans. */
function inOrder(roots: Node[]): Node[] {
  const ordered: Node[] = [];
  const waiting = [...roots].reverse();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    ordered.push(node);
    for (let at = node.children.length - 1; at >= 0; at--) waiting.push(node.children[at] as Node);
  }
  return ordered;
}

function sumUp(order: Node[]) {
  order.forEach((node, index) => {
    node.order = index;
    node.depth = node.parent ? node.parent.depth + 1 : 0;
    node.self = ownTime(node).reduce((sum, [from, to]) => sum + to - from, 0);
  });
  for (let at = order.length - 1; at >= 0; at--) {
    const node = order[at] as Node;
    node.errorBelow ||= node.span.status === 'error';
    if (!node.parent) continue;
    node.parent.below += node.below + 1;
    node.parent.errorBelow ||= node.errorBelow;
  }
}

export type Interval = [from: number, to: number];

/** When none of the span's children ran, in order: its own work, or waiting that nobody recorded. */
export function ownTime(node: Node): Interval[] {
  const own: Interval[] = [];
  let at = node.start;
  for (const child of node.children) {
    if (child.start >= node.end) break;
    if (child.start > at) own.push([at, child.start]);
    at = Math.max(at, child.end);
  }
  if (at < node.end) own.push([at, node.end]);
  return own;
}

/** The rows that show: without what is folded away and, where only some spans are wanted, without the others. */
export function visibleNodes(tree: TraceTree, folded: ReadonlySet<string>, kept?: ReadonlySet<Node>): Node[] {
  const rows: Node[] = [];
  for (let at = 0; at < tree.order.length;) {
    const node = tree.order[at] as Node;
    if (kept && !kept.has(node)) {
      at += node.below + 1;
      continue;
    }
    rows.push(node);
    at += folded.has(node.span.spanId) ? node.below + 1 : 1;
  }
  return rows;
}

/** These spans and all above them, so that each stands where it belongs. */
export function withAbove(nodes: Iterable<Node>): Set<Node> {
  const kept = new Set<Node>();
  for (const node of nodes) for (let at: Node | undefined = node; at && !kept.has(at); at = at.parent) kept.add(at);
  return kept;
}

/** What to fold so that only this many levels show. */
export function foldedAt(tree: TraceTree, levels: number): Set<string> {
  const folded = new Set<string>();
  for (const { depth, children, span } of tree.order)
    if (depth === levels - 1 && children.length) folded.add(span.spanId);
  return folded;
}

/** The folded spans without those above a span, so that it shows; the same set when it shows already. */
export function revealing(node: Node, folded: ReadonlySet<string>): ReadonlySet<string> {
  const hiding: string[] = [];
  for (let above = node.parent; above; above = above.parent)
    if (folded.has(above.span.spanId)) hiding.push(above.span.spanId);
  if (hiding.length === 0) return folded;
  const open = new Set(folded);
  for (const spanId of hiding) open.delete(spanId);
  return open;
}

/** The place of a span among rows that are in order of the trace; -1 when it does not show. */
export function rowOf(rows: Node[], node: Node | undefined): number {
  if (!node) return -1;
  let low = 0;
  let high = rows.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = (rows[middle] as Node).order;
    if (at === node.order) return middle;
    if (at < node.order) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Round places for marks inside a window of the trace, in milliseconds from its start. */
export function ticks(fromMs: number, toMs: number, wanted: number): number[] {
  const rough = (toMs - fromMs) / wanted;
  if (!(rough > 0)) return [fromMs];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough;
  const first = Math.ceil(fromMs / step - 1e-9);
  const count = Math.floor(toMs / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, index) => (first + index) * step);
}

/** Logs are asked for around the trace, with room for clocks that differ and for records written after its end. */
const AROUND_MS = 5 * 60_000;

export function logsAround(tree: TraceTree, time: ReturnType<typeof timeWords>) {
  const startMs = Number(tree.startNs / 1_000_000n);
  return { ...time, from: `${startMs - AROUND_MS}`, to: `${Math.ceil(startMs + tree.totalMs) + AROUND_MS}` };
}

/** When the trace began, milliseconds since the Unix epoch. */
export function beganMs(tree: TraceTree): number {
  return Number(tree.startNs / 1000n) / 1000;
}
