import type { Interval, Node, TraceTree } from './tree';

/** What one span adds to the critical path. */
export interface Share {
  node: Node;
  ms: number;
}

export interface CriticalPath {
  /** The span whose end everything on the path led to. */
  root: Node;
  /** When each span on the path held it up, in milliseconds of the span's own clock, in order. */
  parts: Map<Node, Interval[]>;
  /** The largest first. Together they are as long as the root. */
  shares: Share[];
}

/** Clocks of one machine read one after the other may differ by this, milliseconds. */
const CLOCK_MS = 0.001;

/**
 * What the root waited for, found from its end backwards as in "CRISP" (Uber, 2022): of the children that had ended, the one that
 * ended last was waited for; before it began, the one that had ended last by then; what lies between them is the span's own time.
 * A child that runs on after its parent was not waited for, nor was a consumer of a message: neither is on the path.
 */
export function criticalPath(tree: TraceTree): CriticalPath | undefined {
  const root = mainRoot(tree);
  if (!root) return undefined;
  const parts = new Map<Node, Interval[]>();
  // `shift` is how far the span's clock is behind its parent's: it is added to the span's times.
  const waiting: { node: Node; shift: number; from: number; until: number }[] = [
    { node: root, shift: 0, from: root.start, until: root.end },
  ];
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const { node, shift, from, until } = one;
    const own: Interval[] = [];
    let at = until;
    for (const { child, shift: by, start, end } of awaited(node, shift, until)) {
      if (end > at + CLOCK_MS) continue;
      if (start < from - CLOCK_MS && end <= from) break;
      if (at > end) own.push([end - shift, at - shift]);
      waiting.push({ node: child, shift: by, from: Math.max(from, start), until: Math.min(end, at) });
      at = Math.max(from, Math.min(at, start));
      if (at <= from) break;
    }
    if (at > from) own.push([from - shift, at - shift]);
    if (own.length) parts.set(node, own.reverse());
  }
  const shares = [...parts]
    .map(([node, own]) => ({ node, ms: own.reduce((sum, [start, end]) => sum + end - start, 0) }))
    .sort((a, b) => b.ms - a.ms || a.node.order - b.node.order);
  return { root, parts, shares };
}

/** The root that the rest hangs on: one whose parent is not missing, if there is one, and of those the longest. */
export function mainRoot({ roots }: TraceTree): Node | undefined {
  const whole = roots.filter(({ orphan }) => !orphan);
  return (whole.length ? whole : roots).reduce<Node | undefined>(
    (best, node) => (best && best.end - best.start >= node.end - node.start ? best : node),
    undefined,
  );
}

interface Awaited {
  child: Node;
  shift: number;
  start: number;
  end: number;
}

/** The children that were waited for, in the root's clock, the one that ended last first. */
function awaited(node: Node, shift: number, until: number): Awaited[] {
  const found: Awaited[] = [];
  for (const child of node.children) {
    const by = shift + (isCall(child) ? clockShift(child) : 0);
    const start = child.start + by;
    const end = child.end + by;
    if (!isAwaited(child) || start > until) continue;
    found.push({ child, shift: by, start, end: Math.min(end, node.end + shift) });
  }
  return found.sort((a, b) => b.end - a.end || a.start - b.start);
}

/** A client waits for its server, whatever their clocks say. */
export function isCall(child: Node): boolean {
  return child.parent?.span.kind === 'client' && child.span.kind === 'server';
}

export function isAwaited(child: Node): boolean {
  const { parent, span } = child;
  if (!parent || isCall(child)) return true;
  if (span.kind === 'consumer' && parent.span.kind === 'producer') return false;
  return child.end <= parent.end + CLOCK_MS && child.start <= parent.end;
}

/** How far a server's times must be moved so that they lie inside its client's: what NTP assumes, the way there and back alike. */
export function clockShift(child: Node): number {
  const { parent } = child;
  if (!parent || (child.start >= parent.start && child.end <= parent.end)) return 0;
  const room = parent.end - parent.start - (child.end - child.start);
  return parent.start + Math.max(0, room / 2) - child.start;
}

/** How a span's times disagree with those of its parent. */
export interface Disagreement {
  /** `clock`: they cannot both be right. `late`: it ran on after its parent, which did not wait for it. */
  kind: 'clock' | 'late';
  /** By how much, milliseconds. */
  beforeMs: number;
  afterMs: number;
}

export function disagreement(node: Node): Disagreement | undefined {
  const { parent } = node;
  if (!parent) return undefined;
  const beforeMs = Math.max(0, parent.start - node.start);
  const afterMs = Math.max(0, node.end - parent.end);
  if (beforeMs <= CLOCK_MS && afterMs <= CLOCK_MS) return undefined;
  return { kind: beforeMs > CLOCK_MS || isCall(node) ? 'clock' : 'late', beforeMs, afterMs };
}

/** Spans on the path that are of one kind. */
export interface PathGroup {
  service: string;
  name: string;
  ms: number;
  count: number;
  /** The one that held it up longest. */
  node: Node;
}

/** The path by service and operation, the largest first: many small calls of one kind weigh as much as a long one. */
export function pathGroups({ shares }: CriticalPath): PathGroup[] {
  const groups = new Map<string, PathGroup>();
  for (const { node, ms } of shares) {
    const { service, name } = node.span;
    const key = `${service}\n${name}`;
    const known = groups.get(key);
    if (known) {
      known.ms += ms;
      known.count++;
    } else groups.set(key, { service, name, ms, count: 1, node });
  }
  return [...groups.values()].sort((a, b) => b.ms - a.ms);
}
