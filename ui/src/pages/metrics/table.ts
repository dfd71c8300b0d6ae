import type { Answer, Series } from '../../api/prometheus';
import { formatNumber, formatUnit, type Unit } from '../../format/units';
import { printLabels } from './names';
import type { Letter } from './queries';

interface Part {
  letter: Letter;
  unit: Unit;
  answer: Answer;
}

interface Table {
  columns: { name: string; type: string }[];
  rows: unknown[][];
}

/** The answers side by side: series with the same labels share a row. A single answer keeps its metrics' names as a column. */
export function joined(parts: Part[]): Table {
  const several = parts.length > 1;
  const names = new Set<string>();
  const rows = new Map<string, { labels: Record<string, string>; found: (Series | undefined)[] }>();
  parts.forEach(({ answer }, index) => {
    for (const series of answer.series) {
      const labels = { ...series.labels };
      // Two metrics never have the same name, and would never meet in a row.
      if (several) delete labels.__name__;
      for (const name of Object.keys(labels)) names.add(name);
      const key = printLabels(labels);
      const row = rows.get(key) ?? { labels, found: [] };
      row.found[index] = series;
      rows.set(key, row);
    }
  });
  const sorted = [...names].sort();
  const columns = [
    ...sorted.map((name) => ({ name, type: 'label' })),
    ...parts.flatMap(({ letter, unit }) => [
      { name: several ? letter : 'value', type: 'float64' },
      ...(unit === 'none' ? [] : [{ name: several ? `${letter} reads as` : 'reads as', type: 'text' }]),
    ]),
  ];
  return {
    columns,
    rows: [...rows.values()].map(({ labels, found }) => [
      ...sorted.map((name) => labels[name] ?? ''),
      ...parts.flatMap(({ unit }, index) => cells(found[index], unit)),
    ]),
  };
}

function cells(series: Series | undefined, unit: Unit): unknown[] {
  const value = series?.values.at(-1);
  const histogram = series?.histograms?.at(-1);
  const written = histogram
    ? `histogram: count ${formatNumber(histogram.count)}, sum ${formatNumber(histogram.sum)}, mean ${formatNumber(histogram.sum / histogram.count)}`
    : value;
  if (unit === 'none') return [series ? written : ''];
  return [series ? written : '', value === undefined || histogram ? '' : formatUnit(value, unit)];
}
