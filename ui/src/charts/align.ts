import type { Series } from '../api/prometheus';

/** Puts every series onto one grid of times, as the chart wants them; what is absent or not a number is a gap. */
export function alignSeries(
  series: Series[],
  start: number,
  end: number,
  step: number,
): { times: number[]; values: (number | null)[][] } {
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  const times = Array.from({ length: count }, (_, index) => start + index * step);
  const values = series.map((each) => {
    const row = new Array<number | null>(count).fill(null);
    each.times.forEach((time, index) => {
      const slot = Math.round((time - start) / step);
      const value = each.values[index];
      if (slot >= 0 && slot < count && value !== undefined && Number.isFinite(value)) row[slot] = value;
    });
    return row;
  });
  return { times, values };
}

/** Running sums over the lines, so that bars drawn from the last line to the first look stacked. */
export function stack(values: (number | null)[][]): (number | null)[][] {
  const total: number[] = [];
  return values.map((row) =>
    row.map((value, index) => {
      total[index] = (total[index] ?? 0) + (value ?? 0);
      return total[index];
    }),
  );
}
