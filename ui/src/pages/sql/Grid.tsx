import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import classes from './Grid.module.css';
import { cellText, cellTitle, isNumeric } from './cells';

interface Props {
  columns: { name: string; type: string }[];
  rows: unknown[][];
}

const WIDTH_MAX = 60;
const MEASURED_ROWS = 200;

/** A table of any answer; only the rows in sight are in the page. */
export function Grid({ columns, rows }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => 26,
    overscan: 12,
  });
  const template = useMemo(() => templateOf(columns, rows), [columns, rows]);
  return (
    <div ref={box} className={classes.scroll} data-testid="grid" role="table" aria-rowcount={rows.length + 1}>
      <div className={classes.head} style={{ gridTemplateColumns: template }} role="row">
        {columns.map(({ name, type }, index) => (
          <span key={index} role="columnheader" data-number={isNumeric(type)} title={`${name}: ${type}`}>
            {name} <small>{type}</small>
          </span>
        ))}
      </div>
      <div className={classes.body} style={{ height: virtual.getTotalSize() }} role="rowgroup">
        {virtual.getVirtualItems().map((item) => (
          <div
            key={item.key}
            className={classes.row}
            style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)` }}
            role="row"
            aria-rowindex={item.index + 2}
          >
            {columns.map(({ name, type }, index) => {
              const value = rows[item.index]?.[index];
              const text = cellText(value);
              return (
                <span
                  key={index}
                  role="cell"
                  data-number={isNumeric(type)}
                  data-null={value === null || value === undefined}
                  title={cellTitle(name, text)}
                >
                  {value === null || value === undefined ? 'null' : text}
                </span>
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}

/** What is left of the width goes to the last column when it is text, else it stays empty. */
function templateOf(columns: Props['columns'], rows: unknown[][]): string {
  const widths = columns.map((_, index) => `${widthOf(columns, rows, index)}ch`);
  const last = columns.at(-1);
  if (!last || isNumeric(last.type)) return `${widths.join(' ')} 1fr`;
  return [...widths.slice(0, -1), `minmax(${widths.at(-1)}, 1fr)`].join(' ');
}

/** Characters of the widest cell among the first rows; the template is one for all rows, so columns stand in line. */
function widthOf(columns: Props['columns'], rows: unknown[][], index: number): number {
  const column = columns[index];
  let widest = column ? column.name.length + column.type.length + 2 : 4;
  for (const row of rows.slice(0, MEASURED_ROWS)) widest = Math.max(widest, cellText(row[index]).length);
  return Math.min(WIDTH_MAX, widest) + 4;
}
