import type uPlot from 'uplot';
import { clock, day } from '../format/time';
import classes from './charts.module.css';

const ROWS_MAX = 12;

interface Shown {
  times: number[];
  lines: { label: string; color: string; values: (number | null)[]; hidden?: boolean }[];
}

/** A box beside the pointer with the values of that moment, largest first. */
export function tooltip(shown: () => Shown, format: (value: number) => string): uPlot.Plugin {
  let box: HTMLDivElement;
  const hide = () => {
    box.style.display = 'none';
  };
  const draw = (plot: uPlot) => {
    const { idx, left, top } = plot.cursor;
    const { times, lines } = shown();
    const time = typeof idx === 'number' ? times[idx] : undefined;
    if (typeof idx !== 'number' || time === undefined || left === undefined || left < 0) return hide();
    const rows = lines
      .filter((line) => !line.hidden && typeof line.values[idx] === 'number')
      .map((line) => ({ ...line, value: line.values[idx] ?? 0 }))
      .sort((a, b) => b.value - a.value);
    if (rows.length === 0) return hide();
    box.replaceChildren(heading(time), ...rows.slice(0, ROWS_MAX).map((row) => rowOf(row, format)));
    if (rows.length > ROWS_MAX) box.append(part('div', `and ${rows.length - ROWS_MAX} more`, classes.tipMore));
    box.style.display = 'block';
    const width = plot.over.clientWidth;
    const flip = left + box.offsetWidth + 24 > width;
    box.style.left = `${flip ? Math.max(0, left - box.offsetWidth - 14) : left + 14}px`;
    box.style.top = `${Math.max(0, Math.min((top ?? 0) - 20, plot.over.clientHeight - box.offsetHeight))}px`;
  };
  return {
    hooks: {
      init: (plot) => {
        box = document.createElement('div');
        box.className = classes.tip ?? '';
        plot.over.append(box);
        hide();
      },
      setCursor: draw,
    },
  };
}

function heading(time: number): HTMLElement {
  const ms = time * 1000;
  return part('div', `${day(ms)}, ${clock(ms).slice(0, 8)}`, classes.tipTime);
}

function rowOf(row: { label: string; color: string; value: number }, format: (value: number) => string): HTMLElement {
  const line = part('div', '', classes.tipRow);
  const swatch = part('i', '', undefined);
  swatch.style.background = row.color;
  line.append(swatch, part('span', row.label, undefined), part('b', format(row.value), undefined));
  return line;
}

function part(tag: string, text: string, className: string | undefined): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}
