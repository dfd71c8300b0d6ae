import type { Node, TraceTree } from './tree';

/** All spans that were reached by the same path of services and operations, in one trace or in many. */
export interface Frame {
  key: string;
  service: string;
  name: string;
  parent: Frame | undefined;
  children: Frame[];
  depth: number;
  count: number;
  errors: number;
  /** How long these spans took, added up. */
  durationMs: number;
  /** In which none of their children ran. */
  selfMs: number;
  /** Own time and that of all below: what parallel spans did counts once for each. This is the width. */
  totalMs: number;
  /** One of its spans: the longest, and the number of its trace. */
  longest: { node: Node; trace: number } | undefined;
}

/** The traces merged by path, below one frame for all of them. */
export function mergeTraces(trees: TraceTree[]): Frame {
  const all = frame('', '', undefined);
  const frames: Frame[] = [];
  trees.forEach((tree, trace) => {
    const of = new Map<Node, Frame>();
    const known = new Map<Frame, Map<string, Frame>>();
    for (const node of tree.order) {
      const above = (node.parent && of.get(node.parent)) ?? all;
      let below = known.get(above);
      if (!below) known.set(above, (below = new Map(above.children.map((each) => [each.key, each]))));
      const key = `${node.span.service}\n${node.span.name}`;
      let one = below.get(key);
      if (!one) {
        one = frame(node.span.service, node.span.name, above);
        below.set(key, one);
        above.children.push(one);
        frames.push(one);
      }
      of.set(node, one);
      add(one, node, trace);
    }
  });
  // Children stand behind their parents in the list, so that backwards each sum is whole before it is added.
  for (let at = frames.length - 1; at >= 0; at--) {
    const one = frames[at] as Frame;
    one.totalMs += one.selfMs;
    if (one.parent) one.parent.totalMs += one.totalMs;
    one.children.sort((a, b) => b.totalMs - a.totalMs || a.key.localeCompare(b.key));
  }
  all.children.sort((a, b) => b.totalMs - a.totalMs || a.key.localeCompare(b.key));
  all.count = trees.length;
  all.durationMs = trees.reduce((sum, { totalMs }) => sum + totalMs, 0);
  return all;
}

function frame(service: string, name: string, parent: Frame | undefined): Frame {
  return {
    ...{ key: `${service}\n${name}`, service, name, parent, children: [], depth: parent ? parent.depth + 1 : 0 },
    ...{ count: 0, errors: 0, durationMs: 0, selfMs: 0, totalMs: 0, longest: undefined },
  };
}

function add(one: Frame, node: Node, trace: number) {
  one.count++;
  one.errors += node.span.status === 'error' ? 1 : 0;
  one.durationMs += node.end - node.start;
  one.selfMs += node.self;
  const before = one.longest?.node;
  if (!before || node.end - node.start > before.end - before.start) one.longest = { node, trace };
}

/** A frame with its place in the picture: 0 to 1 across, levels down. */
export interface Placed {
  frame: Frame;
  left: number;
  width: number;
  level: number;
}

/** What is narrower than this is left out, and deeper too. */
const NARROWEST = 0.0015;
const LEVELS_MAX = 120;
/** Levels above the frame that fills the width: the way back. */

export interface Layout {
  placed: Placed[];
  levels: number;
  /** Frames that are too narrow or too deep to be drawn. */
  left: number;
}

/** The picture of a frame that fills the width, with all above it as full rows. */
export function layoutOf(focus: Frame): Layout {
  const above: Frame[] = [];
  for (let at = focus.parent; at; at = at.parent) above.unshift(at);
  const placed: Placed[] = above.map((each, level) => ({ frame: each, left: 0, width: 1, level }));
  const waiting: Placed[] = [{ frame: focus, left: 0, width: 1, level: above.length }];
  let left = 0;
  let levels = above.length;
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    placed.push(one);
    levels = Math.max(levels, one.level + 1);
    let at = one.left;
    for (const child of one.frame.children) {
      const width = focus.totalMs > 0 ? child.totalMs / focus.totalMs : 0;
      if (width < NARROWEST || one.level - above.length >= LEVELS_MAX) left++;
      else waiting.push({ frame: child, left: at, width, level: one.level + 1 });
      at += width;
    }
  }
  return { placed, levels, left };
}

/** The frames with most time of their own: where work, not waiting for others, went. */
export function mostOwnTime(
  all: Frame,
  count: number,
): { service: string; name: string; selfMs: number; count: number }[] {
  const sums = new Map<string, { service: string; name: string; selfMs: number; count: number }>();
  const waiting = [...all.children];
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    const sum = sums.get(one.key) ?? { service: one.service, name: one.name, selfMs: 0, count: 0 };
    sum.selfMs += one.selfMs;
    sum.count += one.count;
    sums.set(one.key, sum);
    waiting.push(...one.children);
  }
  return [...sums.values()].sort((a, b) => b.selfMs - a.selfMs).slice(0, count);
}
