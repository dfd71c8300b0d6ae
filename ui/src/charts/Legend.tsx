import { IconChevronDown, IconChevronUp } from '@tabler/icons-react';
import { useState } from 'react';
import classes from './charts.module.css';
import type { Line } from './TimeChart';

type Column = 'label' | 'last' | 'min' | 'mean' | 'max';

const COLUMNS: { column: Column; title: string }[] = [
  { column: 'label', title: 'Series' },
  { column: 'last', title: 'Last' },
  { column: 'min', title: 'Min' },
  { column: 'mean', title: 'Mean' },
  { column: 'max', title: 'Max' },
];

interface Props {
  lines: Line[];
  format: (value: number) => string;
  /** A click shows that line alone, or all again; with Ctrl or Shift it adds or removes one. */
  onPick: (label: string, several: boolean) => void;
}

export function Legend({ lines, format, onPick }: Props) {
  const [sort, setSort] = useState<{ column: Column; up: boolean }>({ column: 'last', up: false });
  const rows = lines.map((line) => ({ line, ...summary(line.values) }));
  const turn = sort.up ? 1 : -1;
  rows.sort(
    (a, b) =>
      turn *
      (sort.column === 'label' ? a.line.label.localeCompare(b.line.label) : order(a[sort.column], b[sort.column])),
  );
  return (
    <table className={classes.legend}>
      <thead>
        <tr>
          {COLUMNS.map(({ column, title }) => (
            <th key={column} aria-sort={sort.column === column ? (sort.up ? 'ascending' : 'descending') : undefined}>
              <button
                type="button"
                onClick={() => setSort({ column, up: sort.column === column ? !sort.up : column === 'label' })}
              >
                {title}
                {sort.column === column && (sort.up ? <IconChevronUp size={12} /> : <IconChevronDown size={12} />)}
              </button>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ line, last, min, mean, max }) => (
          <tr key={line.label} data-off={line.hidden}>
            <td>
              <button
                type="button"
                className={classes.name}
                aria-pressed={!line.hidden}
                title="Click: only this one. Ctrl click: this one too."
                onClick={(event) => onPick(line.label, event.ctrlKey || event.metaKey || event.shiftKey)}
              >
                <i style={{ background: line.color }} />
                <span>{line.label}</span>
              </button>
            </td>
            {[last, min, mean, max].map((value, index) => (
              <td key={index} className="num">
                {format(value)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function order(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : -1) : 1;
  return a - b;
}

function summary(values: (number | null)[]): { last: number; min: number; mean: number; max: number } {
  let last = NaN;
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null) continue;
    last = value;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    count += 1;
  }
  return count ? { last, min, mean: sum / count, max } : { last: NaN, min: NaN, mean: NaN, max: NaN };
}

/** Which lines are hidden after a click in the legend. */
export function pickLine(hidden: ReadonlySet<string>, all: string[], label: string, several: boolean): Set<string> {
  if (several) {
    const next = new Set(hidden);
    if (!next.delete(label)) next.add(label);
    return next.size === all.length ? new Set() : next;
  }
  const alone = !hidden.has(label) && hidden.size === all.length - 1;
  return alone ? new Set() : new Set(all.filter((each) => each !== label));
}
