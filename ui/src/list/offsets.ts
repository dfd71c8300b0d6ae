/** Where each item of a list begins, pixels; one more entry than items: the last is where the list ends. */
export function offsetsOf<T extends object>(
  items: readonly T[],
  heights: WeakMap<T, number>,
  usual: number,
): Float64Array {
  const offsets = new Float64Array(items.length + 1);
  items.forEach((item, index) => {
    offsets[index + 1] = (offsets[index] ?? 0) + (heights.get(item) ?? usual);
  });
  return offsets;
}

/** The item that stands at this height: the last one that begins at or above it. */
export function indexAt(offsets: Float64Array, top: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= top) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The items of which something stands between these heights; `to` is the first behind them. */
export function inSight(offsets: Float64Array, top: number, height: number): { from: number; to: number } {
  const count = offsets.length - 1;
  if (count <= 0) return { from: 0, to: 0 };
  return { from: indexAt(offsets, top), to: Math.min(count, indexAt(offsets, top + height) + 1) };
}
