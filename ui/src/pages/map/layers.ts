import { compare } from './fold';

/** The nodes of one frame, in columns from the left to the right: callers before what they call. */

export interface Sized {
  id: string;
  width: number;
  height: number;
}

export interface Pair {
  from: string;
  to: string;
}

export interface Spot {
  x: number;
  y: number;
}

export interface Layered {
  spots: Map<string, Spot>;
  /** Points between two nodes that are not in neighbouring columns, from `from` to `to`; by `from > to`. */
  bends: Map<string, Spot[]>;
  width: number;
  height: number;
}

export const GAP_X = 72;
/** Between columns inside of a frame. */
export const GAP_INSIDE = 44;
const GAP_Y = 16;
/** The room that a line takes which passes by a column. */
const PASSING = 12;
const SWEEPS = 8;

/** A node, or a place where a long line passes a column. */
interface Item {
  key: string;
  width: number;
  height: number;
  before: Item[];
  after: Item[];
  y: number;
  order: number;
}

/** `fold`: so many columns that would follow each other stand below each other, in one. */
export function layer(nodes: Sized[], pairs: Pair[], gap = GAP_X, fold = 1): Layered {
  const sorted = [...nodes].sort((a, b) => compare(a.id, b.id));
  const known = new Set(sorted.map(({ id }) => id));
  const unique = new Map(
    pairs
      .filter(({ from, to }) => from !== to && known.has(from) && known.has(to))
      .map((pair) => [`${pair.from} > ${pair.to}`, pair]),
  );
  const real = [...unique.values()].sort((a, b) => compare(a.from, b.from) || compare(a.to, b.to));
  const tied = new Set(real.flatMap(({ from, to }) => [from, to]));
  const forward = withoutCycles(
    sorted.filter(({ id }) => tied.has(id)).map(({ id }) => id),
    real,
  );
  const unfolded = columnsOf(forward.order, forward.pairs);
  const column = new Map([...unfolded].map(([id, at]) => [id, Math.floor(at / fold)]));
  const { columns, chains } = itemsOf(sorted, column, forward.pairs);
  untangle(columns);
  settle(columns);
  const placed = place(columns, chains, real, gap);
  return addLoose(
    placed,
    sorted.filter(({ id }) => !tied.has(id)),
  );
}

/** Turns lines round until there is no way back, and lists the nodes with callers first. */
function withoutCycles(ids: string[], pairs: Pair[]): { order: string[]; pairs: Pair[] } {
  const out = new Map<string, string[]>(ids.map((id) => [id, []]));
  const incoming = new Map<string, number>(ids.map((id) => [id, 0]));
  for (const { from, to } of pairs) {
    out.get(from)?.push(to);
    incoming.set(to, (incoming.get(to) ?? 0) + 1);
  }
  // Those whom nobody calls begin; then who calls more than it is called.
  const lead = (id: string) =>
    incoming.get(id) === 0 ? Infinity : (out.get(id)?.length ?? 0) - (incoming.get(id) ?? 0);
  const starts = [...ids].sort((a, b) => (lead(a) === lead(b) ? compare(a, b) : lead(b) - lead(a)));
  const state = new Map<string, 'open' | 'done'>();
  const turned = new Set<string>();
  const done: string[] = [];
  for (const start of starts) {
    if (state.has(start)) continue;
    state.set(start, 'open');
    // By hand instead of by recursion: a chain may be as long as the company.
    const stack = [{ id: start, next: 0 }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const to = out.get(top.id)?.[top.next++];
      if (to === undefined) {
        state.set(top.id, 'done');
        done.push(top.id);
        stack.pop();
      } else if (!state.has(to)) {
        state.set(to, 'open');
        stack.push({ id: to, next: 0 });
      } else if (state.get(to) === 'open') turned.add(`${top.id} > ${to}`);
    }
  }
  const straight = pairs.map((pair) =>
    turned.has(`${pair.from} > ${pair.to}`) ? { from: pair.to, to: pair.from } : pair,
  );
  return { order: done.reverse(), pairs: straight };
}

/** The column of each node: right of all its callers, and no column much higher than the whole is wide. */
function columnsOf(order: string[], pairs: Pair[]): Map<string, number> {
  const most = Math.max(7, Math.ceil(Math.sqrt(order.length * 2.2)));
  const callers = group(pairs, 'to', 'from');
  const called = group(pairs, 'from', 'to');
  const column = new Map<string, number>();
  const filled: number[] = [];
  for (const id of order) {
    let at = Math.max(-1, ...(callers.get(id) ?? []).map((each) => column.get(each) ?? -1)) + 1;
    while ((filled[at] ?? 0) >= most) at += 1;
    filled[at] = (filled[at] ?? 0) + 1;
    column.set(id, at);
  }
  // Who is called by nobody stands right before what it calls.
  for (const id of order) {
    if (callers.has(id)) continue;
    const first = Math.min(...(called.get(id) ?? []).map((each) => column.get(each) ?? 0));
    const at = first - 1;
    if (at > (column.get(id) ?? 0) && (filled[at] ?? 0) < most) column.set(id, at);
  }
  const used = [...new Set(column.values())].sort((a, b) => a - b);
  return new Map([...column].map(([id, at]) => [id, used.indexOf(at)]));
}

function group(pairs: Pair[], by: keyof Pair, value: keyof Pair): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const pair of pairs) {
    const list = groups.get(pair[by]);
    if (list) list.push(pair[value]);
    else groups.set(pair[by], [pair[value]]);
  }
  return groups;
}

function itemsOf(nodes: Sized[], column: ReadonlyMap<string, number>, pairs: Pair[]) {
  const columns: Item[][] = [];
  const items = new Map<string, Item>();
  const add = (at: number, key: string, width: number, height: number): Item => {
    const list = (columns[at] ??= []);
    const item = { key, width, height, before: [], after: [], y: 0, order: list.length };
    list.push(item);
    return item;
  };
  for (const { id, width, height } of nodes) {
    const at = column.get(id);
    if (at !== undefined) items.set(id, add(at, id, width, height));
  }
  const chains = new Map<string, { at: number; item: Item }[]>();
  for (const { from, to } of pairs) {
    const start = items.get(from);
    const end = items.get(to);
    if (!start || !end) continue;
    let last = start;
    const chain: { at: number; item: Item }[] = [];
    for (let at = (column.get(from) ?? 0) + 1; at < (column.get(to) ?? 0); at++) {
      const item = add(at, `${from} > ${to} @${at}`, 0, PASSING);
      join(last, item);
      chain.push({ at, item });
      last = item;
    }
    // Where columns are folded, both may stand in one: nothing to untangle.
    if (column.get(from) !== column.get(to)) join(last, end);
    chains.set(`${from} > ${to}`, chain);
  }
  return { columns, chains };
}

function join(from: Item, to: Item): void {
  from.after.push(to);
  to.before.push(from);
}

/** Orders each column by where its neighbours stand, to and fro, and keeps the order with the fewest crossings. */
function untangle(columns: Item[][]): void {
  let best = columns.map((list) => [...list]);
  let fewest = crossings(columns);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const rightward = sweep % 2 === 0;
    for (const list of rightward ? columns.slice(1) : columns.slice(0, -1).reverse()) {
      const place = new Map(
        list.map((item) => {
          const beside = rightward ? item.before : item.after;
          const middle = beside.length ? beside.reduce((sum, each) => sum + each.order, 0) / beside.length : item.order;
          return [item, middle];
        }),
      );
      list.sort((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0) || a.order - b.order);
      renumber(list);
    }
    const now = crossings(columns);
    if (now >= fewest) continue;
    fewest = now;
    best = columns.map((list) => [...list]);
  }
  best.forEach((list, at) => {
    columns[at] = list;
    renumber(list);
  });
}

function renumber(list: Item[]): void {
  list.forEach((item, order) => {
    item.order = order;
  });
}

/** How many pairs of lines cross: inversions, counted with a tree of sums. */
function crossings(columns: Item[][]): number {
  let count = 0;
  for (const list of columns.slice(0, -1)) {
    const ends = list.flatMap((item) => item.after.map((to) => to.order).sort((a, b) => a - b));
    const tree = new Array<number>(Math.max(0, ...ends) + 2).fill(0);
    ends.forEach((end, seen) => {
      let notAbove = 0;
      for (let at = end + 1; at > 0; at -= at & -at) notAbove += tree[at] ?? 0;
      count += seen - notAbove;
      for (let at = end + 1; at < tree.length; at += at & -at) tree[at] = (tree[at] ?? 0) + 1;
    });
  }
  return count;
}

/** Moves the items of each column to the height of their neighbours, as near as the others let them. */
function settle(columns: Item[][]): void {
  for (const list of columns) {
    let y = 0;
    for (const item of list) {
      item.y = y;
      y += item.height + GAP_Y;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const rightward = sweep % 2 === 0;
    for (const list of rightward ? columns : [...columns].reverse()) {
      const wished = list.map((item) => {
        const beside = rightward ? item.before : item.after;
        if (beside.length === 0) return item.y;
        return beside.reduce((sum, each) => sum + each.y + each.height / 2, 0) / beside.length - item.height / 2;
      });
      nearest(list, wished);
    }
  }
}

/** The heights with the least sum of squares from the wished ones that keep order and distance: neighbours that would collide move as one. */
function nearest(list: Item[], wished: number[]): void {
  const offsets: number[] = [];
  let offset = 0;
  for (const item of list) {
    offsets.push(offset);
    offset += item.height + GAP_Y;
  }
  const blocks: { sum: number; count: number }[] = [];
  wished.forEach((wish, index) => {
    let block = { sum: wish - (offsets[index] ?? 0), count: 1 };
    for (let last = blocks.at(-1); last && last.sum / last.count > block.sum / block.count; last = blocks.at(-1)) {
      block = { sum: block.sum + last.sum, count: block.count + last.count };
      blocks.pop();
    }
    blocks.push(block);
  });
  let index = 0;
  for (const { sum, count } of blocks)
    for (let each = 0; each < count; each++, index++) {
      const item = list[index];
      if (item) item.y = sum / count + (offsets[index] ?? 0);
    }
}

function place(
  columns: Item[][],
  chains: Map<string, { at: number; item: Item }[]>,
  pairs: Pair[],
  gap: number,
): Layered {
  const lowest = columns.length ? Math.min(...columns.flat().map(({ y }) => y)) : 0;
  const widths = columns.map((list) => Math.max(0, ...list.map(({ width }) => width)));
  const lefts: number[] = [];
  let x = 0;
  for (const width of widths) {
    lefts.push(x);
    x += width + gap;
  }
  const spots = new Map<string, Spot>();
  columns.forEach((list, at) => {
    const width = widths[at] ?? 0;
    for (const item of list)
      spots.set(item.key, { x: (lefts[at] ?? 0) + (width - item.width) / 2, y: Math.round(item.y - lowest) });
  });
  const bends = new Map<string, Spot[]>();
  for (const { from, to } of pairs) {
    const straight = chains.get(`${from} > ${to}`);
    const chain = straight ?? chains.get(`${to} > ${from}`) ?? [];
    const points = chain.flatMap(({ at, item }) => {
      const y = Math.round(item.y - lowest + item.height / 2);
      const left = lefts[at] ?? 0;
      return [
        { x: left, y },
        { x: left + (widths[at] ?? 0), y },
      ];
    });
    bends.set(`${from} > ${to}`, straight ? points : points.reverse());
  }
  const bottom = Math.max(0, ...columns.flat().map((item) => item.y - lowest + item.height));
  for (const key of [...spots.keys()]) if (key.includes(' @')) spots.delete(key);
  return { spots, bends, width: Math.max(0, x - gap), height: Math.ceil(bottom) };
}

/** What nobody calls and what calls nobody stands in rows below the others. */
function addLoose(placed: Layered, loose: Sized[]): Layered {
  if (loose.length === 0) return placed;
  const spots = new Map(placed.spots);
  const area = loose.reduce((sum, { width, height }) => sum + (width + GAP_Y) * (height + GAP_Y), 0);
  const limit = Math.max(placed.width, Math.ceil(Math.sqrt(area * 1.8)), ...loose.map(({ width }) => width));
  let x = 0;
  let y = placed.height ? placed.height + GAP_Y * 2 : 0;
  let row = 0;
  let width = placed.width;
  for (const node of loose) {
    if (x > 0 && x + node.width > limit) {
      x = 0;
      y += row + GAP_Y;
      row = 0;
    }
    spots.set(node.id, { x, y });
    x += node.width + GAP_Y * 1.5;
    row = Math.max(row, node.height);
    width = Math.max(width, x - GAP_Y * 1.5);
  }
  return { ...placed, spots, width, height: y + row };
}
