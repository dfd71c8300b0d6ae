import type uPlot from 'uplot';
import type { Exemplar } from '../api/exemplars';
import { clock, day } from '../format/time';
import classes from './charts.module.css';

/** More marks than these lie on top of each other. */
const COLUMNS = 80;
const PER_COLUMN = 4;

export interface Marks {
  exemplars: Exemplar[];
  href: (exemplar: Exemplar) => string;
  open: (exemplar: Exemplar) => void;
  format: (value: number) => string;
  /** The value's place on the chart's scale; undefined puts the mark onto the floor: its value is of another kind. */
  place: (value: number) => number | undefined;
}

/** The highest few of every stretch of time: what is slow is what people look for. */
export function thinned(exemplars: Exemplar[], start: number, end: number): Exemplar[] {
  const columns = new Map<number, Exemplar[]>();
  for (const each of exemplars) {
    if (each.time < start || each.time > end) continue;
    const column = Math.floor(((each.time - start) / (end - start)) * COLUMNS);
    const held = columns.get(column);
    if (held) held.push(each);
    else columns.set(column, [each]);
  }
  return [...columns.values()].flatMap((column) => column.sort((a, b) => b.value - a.value).slice(0, PER_COLUMN));
}

/** Each exemplar a link to its trace, over the chart: real links, so that they open in a new tab too. */
export function exemplarMarks(shown: () => Marks | undefined): uPlot.Plugin {
  let layer: HTMLDivElement;
  let made: { exemplar: Exemplar; link: HTMLAnchorElement }[] = [];
  let from: Exemplar[] | undefined;
  const rebuild = (marks: Marks | undefined) => {
    made = (marks?.exemplars ?? []).map((exemplar) => ({ exemplar, link: linkOf(exemplar, () => shown() ?? marks) }));
    layer.replaceChildren(...made.map(({ link }) => link));
    from = marks?.exemplars;
  };
  const place = (plot: uPlot) => {
    const marks = shown();
    if (marks?.exemplars !== from) rebuild(marks);
    if (!marks) return;
    const { clientWidth: width, clientHeight: height } = plot.over;
    for (const { exemplar, link } of made) {
      const left = plot.valToPos(exemplar.time, 'x');
      const at = marks.place(exemplar.value);
      const top = at === undefined ? height : plot.valToPos(at, 'y');
      link.hidden = left < 0 || left > width || Number.isNaN(left);
      link.style.left = `${left}px`;
      link.style.top = `${Math.min(height - 4, Math.max(4, Number.isFinite(top) ? top : height))}px`;
      link.dataset.floor = String(at === undefined);
    }
  };
  return {
    hooks: {
      init: (plot) => {
        layer = document.createElement('div');
        layer.className = classes.exemplars ?? '';
        layer.dataset.testid = 'exemplars';
        plot.over.append(layer);
      },
      draw: place,
    },
  };
}

function linkOf(exemplar: Exemplar, marks: () => Marks | undefined): HTMLAnchorElement {
  const link = document.createElement('a');
  const ms = exemplar.time * 1000;
  const value = marks()?.format(exemplar.value) ?? String(exemplar.value);
  const who = exemplar.labels.component ?? exemplar.labels.service_name ?? exemplar.labels.job;
  const text = `Exemplar ${value}, ${day(ms)} ${clock(ms).slice(0, 8)}${who ? `, ${who}` : ''}: open its trace`;
  link.href = marks()?.href(exemplar) ?? '';
  link.setAttribute('aria-label', text);
  link.title = `${text}\ntrace ${exemplar.traceId}`;
  link.addEventListener('mousedown', (event) => event.stopPropagation());
  link.addEventListener('click', (event) => {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    marks()?.open(exemplar);
  });
  return link;
}
