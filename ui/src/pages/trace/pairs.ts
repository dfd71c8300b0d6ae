import type { Node, TraceTree } from './tree';

/** The spans of one trace that were reached by one path. */
export interface Side {
  count: number;
  errors: number;
  /** Added up over its spans. */
  durationMs: number;
  selfMs: number;
  first: Node;
}

export type Verdict = 'added' | 'removed' | 'slower' | 'faster' | 'same';

/** One path of services and operations in two traces. */
export interface Pair {
  key: string;
  service: string;
  name: string;
  depth: number;
  parent: Pair | undefined;
  children: Pair[];
  a: Side | undefined;
  b: Side | undefined;
  verdict: Verdict;
  /** How much longer it took in the second trace, milliseconds; negative when it was faster. */
  deltaMs: number;
  /** The same of the time that was its own: what explains the difference, without counting it again in all above. */
  deltaSelfMs: number;
}

export interface Comparison {
  /** Depth first, in order of start. */
  pairs: Pair[];
  counts: Record<Verdict, number>;
  /** The whole second trace against the first, milliseconds. */
  deltaMs: number;
  /** Pairs whose own time differs most, either way. */
  reasons: Pair[];
}

/** A path counts as slower or faster from this share of its own duration and of the longer trace on. */
const OWN_SHARE = 0.1;
const TRACE_SHARE = 0.01;
const REASONS_MAX = 4;

/** Two traces side by side: spans belong together when the services and operations above them, and they themselves, are the same. */
export function compareTraces(a: TraceTree, b: TraceTree): Comparison {
  const top: Pair[] = [];
  const all: Pair[] = [];
  for (const [side, tree] of [
    ['a', a],
    ['b', b],
  ] as const) {
    const of = new Map<Node, Pair>();
    const known = new Map<Pair | undefined, Map<string, Pair>>();
    for (const node of tree.order) {
      const parent = node.parent && of.get(node.parent);
      const siblings = parent?.children ?? top;
      let below = known.get(parent);
      if (!below) known.set(parent, (below = new Map(siblings.map((each) => [each.key, each]))));
      const key = `${node.span.service}\n${node.span.name}`;
      let pair = below.get(key);
      if (!pair) {
        pair = {
          ...{ key, service: node.span.service, name: node.span.name, depth: node.depth, parent, children: [] },
          ...{ a: undefined, b: undefined, verdict: 'same', deltaMs: 0, deltaSelfMs: 0 },
        };
        below.set(key, pair);
        siblings.push(pair);
        all.push(pair);
      }
      of.set(node, pair);
      const sum = (pair[side] ??= { count: 0, errors: 0, durationMs: 0, selfMs: 0, first: node });
      sum.count++;
      sum.errors += node.span.status === 'error' ? 1 : 0;
      sum.durationMs += node.end - node.start;
      sum.selfMs += node.self;
    }
  }
  const longer = Math.max(a.totalMs, b.totalMs);
  const counts: Record<Verdict, number> = { added: 0, removed: 0, slower: 0, faster: 0, same: 0 };
  for (const pair of all) {
    pair.deltaMs = (pair.b?.durationMs ?? 0) - (pair.a?.durationMs ?? 0);
    pair.deltaSelfMs = (pair.b?.selfMs ?? 0) - (pair.a?.selfMs ?? 0);
    pair.verdict = verdictOf(pair, longer);
    counts[pair.verdict]++;
    pair.children.sort((one, other) => startOf(one) - startOf(other));
  }
  const reasons = all
    .filter(({ deltaSelfMs }) => Math.abs(deltaSelfMs) > longer * TRACE_SHARE)
    .sort((one, other) => Math.abs(other.deltaSelfMs) - Math.abs(one.deltaSelfMs))
    .slice(0, REASONS_MAX);
  return { pairs: depthFirst(top), counts, deltaMs: b.totalMs - a.totalMs, reasons };
}

function verdictOf({ a, b, deltaMs }: Pair, longer: number): Verdict {
  if (!a) return 'added';
  if (!b) return 'removed';
  if (Math.abs(deltaMs) < a.durationMs * OWN_SHARE || Math.abs(deltaMs) < longer * TRACE_SHARE) return 'same';
  return deltaMs > 0 ? 'slower' : 'faster';
}

function startOf({ a, b }: Pair): number {
  return (a ?? b)?.first.start ?? 0;
}

function depthFirst(top: Pair[]): Pair[] {
  const ordered: Pair[] = [];
  const waiting = [...top].reverse();
  for (let pair = waiting.pop(); pair; pair = waiting.pop()) {
    ordered.push(pair);
    for (let at = pair.children.length - 1; at >= 0; at--) waiting.push(pair.children[at] as Pair);
  }
  return ordered;
}

/** The pairs that differ, with all above them. */
export function differing(pairs: Pair[]): Pair[] {
  const kept = new Set<Pair>();
  for (const pair of pairs) {
    if (pair.verdict === 'same' && (pair.a?.errors ?? 0) === (pair.b?.errors ?? 0)) continue;
    for (let at: Pair | undefined = pair; at && !kept.has(at); at = at.parent) kept.add(at);
  }
  return pairs.filter((pair) => kept.has(pair));
}
