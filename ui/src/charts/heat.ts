import type { Series } from '../api/prometheus';

/** A histogram over time: rows of values from low to high, columns of time, and how many observations fell into each cell. */
export interface Heat {
  /** Unix seconds, ascending, evenly spaced. */
  times: number[];
  /** One more than there are rows, ascending; the outermost may be infinite. */
  edges: number[];
  /** By row, then by column; NaN where nothing is known. */
  cells: number[][];
  max: number;
}

interface Grid {
  start: number;
  end: number;
  step: number;
}

/** Finer rows than these are thinner than a finger and tell nothing more. */
const ROWS_MAX = 40;

/** What an answer's histograms look like: native ones, classic ones by `le`, or undefined when it holds neither. */
export function heatOf(series: Series[], grid: Grid): Heat | undefined {
  const native = series.filter((each) => each.histograms?.length);
  if (native.length > 0) return nativeHeat(native, grid);
  return hasBuckets(series) ? classicHeat(series, grid) : undefined;
}

/** Classic buckets: every series has its upper edge, and there are several. */
export function hasBuckets(series: Series[]): boolean {
  const edges = new Set(series.map((each) => each.labels.le));
  return edges.size > 2 && !edges.has(undefined) && [...edges].every((le) => !Number.isNaN(edgeOf(le)));
}

function edgeOf(le: string | undefined): number {
  if (le === '+Inf' || le === 'Inf') return Infinity;
  return le ? Number(le) : NaN;
}

function slotsOf({ start, end, step }: Grid): { times: number[]; slot: (time: number) => number } {
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  const times = Array.from({ length: count }, (_, index) => start + index * step);
  return { times, slot: (time) => Math.round((time - start) / step) };
}

function classicHeat(series: Series[], grid: Grid): Heat {
  const { times, slot } = slotsOf(grid);
  const uppers = [...new Set(series.map((each) => edgeOf(each.labels.le)))].sort((a, b) => a - b);
  const sums = uppers.map(() => new Array<number>(times.length).fill(NaN));
  for (const each of series) {
    const row = sums[uppers.indexOf(edgeOf(each.labels.le))] ?? [];
    each.times.forEach((time, index) => {
      const at = slot(time);
      const value = each.values[index] ?? NaN;
      if (at >= 0 && at < times.length && Number.isFinite(value))
        row[at] = (Number.isNaN(row[at]) ? 0 : (row[at] ?? 0)) + value;
    });
  }
  // Each bucket counts everything below its edge; a row is what it has more than the one before.
  const cells = sums.map((row, index) =>
    row.map((value, at) => (index === 0 ? value : Math.max(0, value - (sums[index - 1]?.[at] ?? NaN)))),
  );
  const lowest = (uppers[0] ?? 0) > 0 ? 0 : -Infinity;
  return trimmed(times, [lowest, ...uppers], cells);
}

function nativeHeat(series: Series[], grid: Grid): Heat {
  const { times, slot } = slotsOf(grid);
  const edges = rowEdges(series);
  const cells = edges.slice(1).map(() => new Array<number>(times.length).fill(NaN));
  for (const { histograms = [] } of series) {
    for (const { time, buckets } of histograms) {
      const at = slot(time);
      if (at < 0 || at >= times.length) continue;
      for (const row of cells) if (Number.isNaN(row[at])) row[at] = 0;
      for (const [low, high, count] of buckets) {
        for (let row = firstRow(edges, low); row < cells.length && (edges[row] ?? 0) < high; row++) {
          const share = overlap(low, high, edges[row] ?? 0, edges[row + 1] ?? 0);
          const cell = cells[row];
          if (cell) cell[at] = (cell[at] ?? 0) + count * share;
        }
      }
    }
  }
  return trimmed(times, edges, cells);
}

/** The last row that begins at or below a value. */
function firstRow(edges: number[], low: number): number {
  let left = 0;
  let right = Math.max(0, edges.length - 2);
  while (left < right) {
    const middle = Math.ceil((left + right) / 2);
    if ((edges[middle] ?? 0) <= low) left = middle;
    else right = middle - 1;
  }
  return left;
}

/** The edges that occur, thinned out evenly until there are few enough rows: buckets are then put together whole. */
function rowEdges(series: Series[]): number[] {
  const found = new Set<number>();
  for (const { histograms = [] } of series)
    for (const { buckets } of histograms)
      for (const [low, high] of buckets) {
        found.add(low);
        found.add(high);
      }
  const all = [...found].sort((a, b) => a - b);
  const every = Math.ceil((all.length - 1) / ROWS_MAX);
  if (every <= 1) return all;
  const kept = all.filter((edge, index) => index % every === 0 || !Number.isFinite(edge));
  const last = all.at(-1);
  return last === undefined || kept.at(-1) === last ? kept : [...kept, last];
}

/** The part of a bucket that lies in a row; a bucket's observations are taken to be spread evenly, on a log scale where it has one. */
function overlap(low: number, high: number, rowLow: number, rowHigh: number): number {
  const from = Math.max(low, rowLow);
  const to = Math.min(high, rowHigh);
  if (to <= from) return low === high && low >= rowLow && low < rowHigh ? 1 : 0;
  if (from === low && to === high) return 1;
  if (!Number.isFinite(high - low)) return 0;
  if (low > 0) return Math.log(to / from) / Math.log(high / low);
  if (high < 0) return Math.log(from / to) / Math.log(low / high);
  return (to - from) / (high - low);
}

/** Without the rows at both ends in which nothing ever fell; one stays on each side, so that the picture shows where it ends. */
function trimmed(times: number[], edges: number[], cells: number[][]): Heat {
  const used = cells.map((row) => row.some((value) => value > 0));
  const first = Math.max(0, used.indexOf(true) - 1);
  const last = Math.min(cells.length - 1, used.lastIndexOf(true) + 1);
  const some = used.includes(true);
  const kept = some ? cells.slice(first, last + 1) : cells;
  let max = 0;
  for (const row of kept) for (const value of row) if (value > max) max = value;
  return { times, edges: some ? edges.slice(first, last + 2) : edges, cells: kept, max };
}

/** Where a value lies on the picture, counted in rows from the bottom. */
export function rowPosition(edges: number[], value: number): number {
  const rows = edges.length - 1;
  if (rows <= 0 || value <= (edges[0] ?? 0)) return 0;
  if (value >= (edges[rows] ?? 0)) return rows;
  const row = firstRow(edges, value);
  const low = edges[row] ?? 0;
  const high = edges[row + 1] ?? 0;
  if (!Number.isFinite(low) || !Number.isFinite(high)) return row + 0.5;
  const share = low > 0 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return row + Math.min(1, Math.max(0, share));
}

/** How strong a cell's colour is, 0 to 1: by the square root, so that the few slow ones stay in sight beside the many fast. */
export function strength(value: number, max: number): number {
  return value > 0 && max > 0 ? Math.max(0.06, Math.sqrt(value / max)) : 0;
}
