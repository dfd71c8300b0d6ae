import type { Span } from '../../api/otlp';
import type { timeWords } from '../../app/address';

export interface Node {
  span: Span;
  depth: number;
  children: Node[];
  parent: Node | undefined;
  /** Spans below this one. */
  below: number;
  /** An error in it or anywhere below, so that folding never hides one. */
  errorBelow: boolean;
  /** True when the span names a parent that did not arrive. */
  orphan: boolean;
}

export interface TraceTree {
  roots: Node[];
  /** Every span by its id. */
  nodes: Map<string, Node>;
  startNs: bigint;
  endNs: bigint;
  /** In order of first appearance, which gives each its colour. */
  services: string[];
  spanCount: number;
  errorCount: number;
}

/** Spans as a tree in order of start. Copies of a span are dropped; loops and missing parents end in a root of their own. */
export function buildTree(spans: Span[]): TraceTree {
  const nodes = new Map<string, Node>();
  for (const span of spans) {
    if (!nodes.has(span.spanId))
      nodes.set(span.spanId, {
        span,
        depth: 0,
        children: [],
        parent: undefined,
        below: 0,
        errorBelow: false,
        orphan: false,
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
  const all = [...nodes.values()];
  const byStart = (a: Node, b: Node) =>
    a.span.startNs < b.span.startNs ? -1 : a.span.startNs > b.span.startNs ? 1 : 0;
  for (const node of all) node.children.sort(byStart);
  roots.sort(byStart);
  const ordered = inOrder(roots);
  for (const node of ordered) for (const child of node.children) child.depth = node.depth + 1;
  for (const node of [...ordered].reverse()) {
    node.below = node.children.reduce((sum, child) => sum + 1 + child.below, 0);
    node.errorBelow = node.span.status === 'error' || node.children.some((child) => child.errorBelow);
  }
  const starts = all.map(({ span }) => span.startNs);
  const ends = all.map(({ span }) => (span.endNs > span.startNs ? span.endNs : span.startNs));
  return {
    roots,
    nodes,
    startNs: starts.reduce((least, value) => (value < least ? value : least), starts[0] ?? 0n),
    endNs: ends.reduce((most, value) => (value > most ? value : most), ends[0] ?? 0n),
    services: [...new Set(ordered.map(({ span }) => span.service))],
    spanCount: all.length,
    errorCount: all.filter(({ span }) => span.status === 'error').length,
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
function inOrder(roots: Node[], folded: ReadonlySet<string> = new Set()): Node[] {
  const ordered: Node[] = [];
  const waiting = [...roots].reverse();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    ordered.push(node);
    if (!folded.has(node.span.spanId))
      for (let at = node.children.length - 1; at >= 0; at--) waiting.push(node.children[at] as Node);
  }
  return ordered;
}

export function visibleNodes(tree: TraceTree, folded: ReadonlySet<string>): Node[] {
  return inOrder(tree.roots, folded);
}

/** The folded spans without those above a span, so that it shows; the same set when it shows already. */
export function revealing(node: Node, folded: ReadonlySet<string>): ReadonlySet<string> {
  const open = new Set(folded);
  for (let above = node.parent; above; above = above.parent) open.delete(above.span.spanId);
  return open.size === folded.size ? folded : open;
}

/** Where an instant lies in the trace, 0 to 1. */
export function position(tree: TraceTree, ns: bigint): number {
  const width = Number(tree.endNs - tree.startNs);
  return width > 0 ? Number(ns - tree.startNs) / width : 0;
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
  const endMs = Number(tree.endNs / 1_000_000n);
  return { ...time, from: `${startMs - AROUND_MS}`, to: `${endMs + AROUND_MS}` };
}
