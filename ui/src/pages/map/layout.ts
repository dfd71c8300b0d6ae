import type { Graph, Link, Node } from './fold';
import { GAP_INSIDE, GAP_X, layer, type Layered, type Pair, type Sized, type Spot } from './layers';

/** Sizes of the picture, in its own units: pixels at a scale of one. */
export const NODE_WIDTH = 190;
export const NODE_HEIGHT = 46;
const FRAME_SIDE = 16;
export const FRAME_TOP = 32;
const FRAME_BOTTOM = 16;

export interface Box extends Spot {
  width: number;
  height: number;
  /** How many frames are around it. */
  depth: number;
}

export interface Picture {
  boxes: Map<string, Box>;
  /** The points that each line goes through, by the link's id. */
  routes: Map<string, Route>;
  width: number;
  height: number;
}

interface Measured {
  node: Node;
  width: number;
  height: number;
  inside: Inside | undefined;
}

interface Inside extends Layered {
  parts: Measured[];
  /** Callers stand above what they call, instead of at its left. */
  downward: boolean;
}

/** Screens are wider than high. */
const WIDE = 1.6;
/** How many columns of a long strip may stand below each other, and how much smaller the whole must become by it. */
const FOLDS = [2, 3];
const WORTH_A_FOLD = 0.8;

/** Places all nodes and lines: each frame by itself, from the inside out. The same graph always gives the same picture. */
export function layout(graph: Graph): Picture {
  const roots = withStores(graph);
  const path = pathsOf(roots);
  const inside = (nodes: Node[], depth: number): Inside => {
    const parts = nodes.map((node) => measure(node, depth));
    const here = new Set(nodes.map(({ entity }) => entity.id));
    const pairs = graph.links.flatMap(({ from, to }) => {
      const [a, b] = [path.get(from)?.[depth], path.get(to)?.[depth]];
      return a !== undefined && b !== undefined && a !== b && here.has(a) && here.has(b) ? [{ from: a, to: b }] : [];
    });
    const sizes = parts.map(({ node, width, height }) => ({ id: node.entity.id, width, height }));
    return { ...(depth === 0 ? { ...foldedStrip(sizes, pairs), downward: false } : compact(sizes, pairs)), parts };
  };
  const measure = (node: Node, depth: number): Measured => {
    if (node.children.length === 0) return { node, width: NODE_WIDTH, height: NODE_HEIGHT, inside: undefined };
    const within = inside(node.children, depth + 1);
    return {
      node,
      width: within.width + FRAME_SIDE * 2,
      height: within.height + FRAME_TOP + FRAME_BOTTOM,
      inside: within,
    };
  };
  const whole = inside(roots, 0);
  const boxes = new Map<string, Box>();
  const bends = new Map<string, Bends>();
  spread(whole, { x: 0, y: 0 }, 0, boxes, bends);
  const routes = new Map(graph.links.map((link) => [link.id, route(link, path, boxes, bends)]));
  return { boxes, routes, width: whole.width, height: whole.height };
}

/** A database or queue that only parts of one frame use stands in it: there its lines are short and in nobody's way. */
function withStores({ roots, links }: Graph): Node[] {
  const path = pathsOf(roots);
  const stores = roots.filter(({ entity }) => entity.kind === 'database' || entity.kind === 'queue');
  const users = new Map<string, string[][]>(stores.map(({ entity }) => [entity.id, []]));
  for (const { from, to } of links) {
    users.get(to)?.push((path.get(from) ?? []).slice(0, -1));
    users.get(from)?.push((path.get(to) ?? []).slice(0, -1));
  }
  const moved = new Map<string, Node[]>();
  const stay = roots.filter((node) => {
    const [first = [], ...others] = users.get(node.entity.id) ?? [];
    const frame = first.filter((each, at) => others.every((other) => other[at] === each)).at(-1);
    if (frame === undefined) return true;
    moved.set(frame, [...(moved.get(frame) ?? []), node]);
    return false;
  });
  const filled = (node: Node): Node =>
    node.children.length === 0
      ? node
      : { ...node, children: [...node.children.map(filled), ...(moved.get(node.entity.id) ?? [])] };
  return stay.map(filled);
}

/** How wide a screen must be for it. */
function need({ width, height }: Layered): number {
  return Math.max(width, height * WIDE);
}

/** A long chain of calls makes a strip so low that nothing in it can be read; folded it fills the screen. */
function foldedStrip(sizes: Sized[], pairs: Pair[]): Layered {
  const strip = layer(sizes, pairs);
  if (strip.width * WORTH_A_FOLD < strip.height * WIDE) return strip;
  const ways = FOLDS.map((fold) => layer(sizes, pairs, GAP_X, fold));
  return ways.reduce((best, way) => (need(way) < need(best) * WORTH_A_FOLD ? way : best), strip);
}

/** Frames stand beside each other, so a frame is drawn downward where that makes the whole less wide. */
function compact(sizes: Sized[], pairs: Pair[]): Layered & { downward: boolean } {
  const across = layer(sizes, pairs, GAP_INSIDE);
  const turned = layer(
    sizes.map(({ id, width, height }) => ({ id, width: height, height: width })),
    pairs,
    GAP_INSIDE,
  );
  const turn = ({ x, y }: Spot) => ({ x: y, y: x });
  const down = {
    spots: new Map([...turned.spots].map(([id, spot]) => [id, turn(spot)])),
    bends: new Map([...turned.bends].map(([id, spots]) => [id, spots.map(turn)])),
    width: turned.height,
    height: turned.width,
  };
  return need(down) < need(across) ? { ...down, downward: true } : { ...across, downward: false };
}

/** The ids of the nodes around each node, the outermost first, and itself. */
function pathsOf(roots: Node[]): Map<string, string[]> {
  const paths = new Map<string, string[]>();
  const walk = (node: Node, above: string[]) => {
    const path = [...above, node.entity.id];
    paths.set(node.entity.id, path);
    for (const child of node.children) walk(child, path);
  };
  for (const root of roots) walk(root, []);
  return paths;
}

function spread(level: Inside, origin: Spot, depth: number, boxes: Map<string, Box>, bends: Map<string, Bends>): void {
  for (const { node, width, height, inside } of level.parts) {
    const spot = level.spots.get(node.entity.id) ?? { x: 0, y: 0 };
    const box = { x: origin.x + spot.x, y: origin.y + spot.y, width, height, depth };
    boxes.set(node.entity.id, box);
    if (inside) spread(inside, { x: box.x + FRAME_SIDE, y: box.y + FRAME_TOP }, depth + 1, boxes, bends);
  }
  for (const [key, points] of level.bends)
    bends.set(key, {
      points: points.map(({ x, y }) => ({ x: origin.x + x, y: origin.y + y })),
      downward: level.downward,
    });
}

interface Bends {
  points: Spot[];
  downward: boolean;
}

export interface Route {
  points: Spot[];
  /** It leaves and arrives from above or below, instead of from the side. */
  downward: boolean;
}

/** From side to side of the nodes themselves, and between them as the frames that tell them apart are tied. */
function route(
  { from, to }: Link,
  path: ReadonlyMap<string, string[]>,
  boxes: ReadonlyMap<string, Box>,
  bends: ReadonlyMap<string, Bends>,
): Route {
  const start = boxes.get(from);
  const end = boxes.get(to);
  if (!start || !end) return { points: [], downward: false };
  if (from === to) return { points: loop(start), downward: true };
  const [above, below] = [path.get(from) ?? [], path.get(to) ?? []];
  const apart = above.findIndex((id, index) => id !== below[index]);
  const between = bends.get(`${above[apart] ?? from} > ${below[apart] ?? to}`);
  const [outer, other] = [boxes.get(above[apart] ?? from) ?? start, boxes.get(below[apart] ?? to) ?? end];
  const oneColumn = outer.x < other.x + other.width && other.x < outer.x + outer.width;
  const downward = between?.downward === true || oneColumn;
  const points = [leave(start, end, downward), ...(between?.points ?? []), leave(end, start, downward)];
  return { points, downward };
}

/** The middle of the side that is turned to another box. */
function leave(box: Box, to: Box, downward: boolean): Spot {
  if (downward) return { x: box.x + box.width / 2, y: to.y >= box.y ? box.y + box.height : box.y };
  return { x: to.x >= box.x ? box.x + box.width : box.x, y: box.y + box.height / 2 };
}

/** Above its own node and back. */
function loop({ x, y, width }: Box): Spot[] {
  return [
    { x: x + width - 50, y },
    { x: x + width - 40, y: y - 14 },
    { x: x + width - 24, y: y - 14 },
    { x: x + width - 14, y },
  ];
}

/** A line through the points that leaves and arrives level, or upright. */
export function curve({ points, downward }: Route): string {
  const [first] = points;
  if (!first) return '';
  let path = `M${round(first.x)} ${round(first.y)}`;
  points.slice(1).forEach((to, index) => {
    const from = points[index] ?? to;
    const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
    const control = downward ? [from.x, y, to.x, y] : [x, from.y, x, to.y];
    path += `C${[...control, to.x, to.y].map(round).join(' ')}`;
  });
  return path;
}

/** Where a word about a line stands: the middle of its longest piece. */
export function middleOf({ points }: Route): Spot {
  let best = { x: 0, y: 0 };
  let longest = -1;
  points.slice(1).forEach((to, index) => {
    const from = points[index] ?? to;
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    if (length <= longest) return;
    longest = length;
    best = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  });
  return best;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
