import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useEffectEvent, useRef } from 'react';
import uPlot from 'uplot';
import { clock, day } from '../format/time';
import { heatColor, token } from '../theme/palette';
import type { Range } from '../time/range';
import { timeAxis, valueAxis } from './axes';
import classes from './charts.module.css';
import { exemplarMarks, type Marks } from './exemplarMarks';
import { rowPosition, strength, type Heat } from './heat';

interface Props {
  heat: Heat;
  range: Range;
  height: number;
  /** Writes a value that was observed, and how many of them were. */
  format: (value: number) => string;
  formatCount: (count: number) => string;
  onZoom: (range: Range) => void;
  label: string;
  marks?: Omit<Marks, 'place'>;
  syncKey?: string;
}

/** A histogram over time: each column an instant, each row a bucket, the colour how many fell into it. */
export function HeatMap({ heat, range, height, format, formatCount, onZoom, label, marks, syncKey }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useComputedColorScheme('light') === 'dark';
  const latest = useRef({ heat, range });
  const zoom = useEffectEvent(onZoom);
  const value = useEffectEvent(format);
  const words = useEffectEvent((row: number, column: number) => tipOf(heat, row, column, format, formatCount));
  const placed = useEffectEvent(() => marks && { ...marks, place: (at: number) => rowPosition(heat.edges, at) });

  useEffect(() => {
    latest.current = { heat, range };
  });

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const options: uPlot.Options = {
      width: element.clientWidth,
      height,
      legend: { show: false },
      padding: [10, 12, 0, 0],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
        y: false,
        ...(syncKey ? { sync: { key: syncKey, setSeries: false } } : {}),
      },
      scales: {
        x: { time: true, range: () => [latest.current.range.startMs / 1000, latest.current.range.endMs / 1000] },
        y: { range: () => [0, latest.current.heat.cells.length] },
      },
      axes: [
        timeAxis(),
        edgeAxis(
          () => latest.current.heat.edges,
          (at) => value(at),
        ),
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: {
        drawSeries: [(self) => paint(self, latest.current.heat, dark)],
        setSelect: [
          (self) => {
            if (self.select.width < 4) return;
            const startMs = self.posToVal(self.select.left, 'x') * 1000;
            const endMs = self.posToVal(self.select.left + self.select.width, 'x') * 1000;
            self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            zoom({ startMs, endMs });
          },
        ],
      },
      plugins: [
        cellTip(
          (row, column) => words(row, column),
          () => latest.current.heat,
        ),
        exemplarMarks(() => placed()),
      ],
    };
    const made = new uPlot(options, [[], []], element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [dark, height, syncKey]);

  const exemplars = marks?.exemplars;
  useEffect(() => {
    plot.current?.setData([heat.times, heat.times.map(() => 0)], true);
  }, [heat, dark, height, syncKey, exemplars, range.startMs, range.endMs]);

  return <div ref={box} className={classes.chart} style={{ height }} role="img" aria-label={label} data-heat />;
}

function paint(plot: uPlot, heat: Heat, dark: boolean) {
  const { ctx } = plot;
  const [first = 0, second = first + 60] = heat.times;
  const width = Math.max(1, Math.abs(plot.valToPos(second, 'x', true) - plot.valToPos(first, 'x', true)));
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
  ctx.clip();
  heat.cells.forEach((row, index) => {
    const top = Math.round(plot.valToPos(index + 1, 'y', true));
    const bottom = Math.round(plot.valToPos(index, 'y', true));
    row.forEach((count, column) => {
      if (!(count > 0)) return;
      // A cell ends at its time: what it counts happened before.
      const right = Math.round(plot.valToPos(heat.times[column] ?? 0, 'x', true));
      const left = Math.round(plot.valToPos(heat.times[column] ?? 0, 'x', true) - width);
      ctx.fillStyle = heatColor(strength(count, heat.max), dark);
      ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top - (bottom - top > 6 ? 1 : 0)));
    });
  });
  ctx.restore();
}

function edgeAxis(edges: () => number[], format: (value: number) => string): uPlot.Axis {
  const text = (at: number | null) => {
    const edge = at === null ? undefined : edges()[at];
    return edge === undefined || !Number.isFinite(edge) ? '' : format(edge);
  };
  return {
    ...valueAxis(String),
    grid: { show: false },
    splits: (plot) => {
      const rows = edges().length - 1;
      const every = Math.max(1, Math.ceil(rows / Math.max(2, plot.over.clientHeight / 22)));
      return Array.from({ length: Math.floor(rows / every) + 1 }, (_, index) => index * every);
    },
    values: (_, splits) => splits.map(text),
  };
}

function cellTip(words: (row: number, column: number) => HTMLElement[], heat: () => Heat): uPlot.Plugin {
  let box: HTMLDivElement;
  let frame: HTMLDivElement;
  const hide = () => {
    box.style.display = 'none';
    frame.style.display = 'none';
  };
  return {
    hooks: {
      init: (plot) => {
        box = document.createElement('div');
        box.className = classes.tip ?? '';
        frame = document.createElement('div');
        frame.className = classes.cell ?? '';
        plot.over.append(frame, box);
        hide();
      },
      setCursor: (plot) => {
        const { left = -1, top = -1 } = plot.cursor;
        const { times, cells } = heat();
        const [first = 0, second = first + 60] = times;
        const step = second - first;
        const column = Math.ceil((plot.posToVal(left, 'x') - first) / step);
        const row = Math.floor(plot.posToVal(top, 'y'));
        if (left < 0 || top < 0 || !times[column] || !cells[row]) return hide();
        box.replaceChildren(...words(row, column));
        box.style.display = 'block';
        frame.style.display = 'block';
        const x = plot.valToPos((times[column] ?? 0) - step, 'x');
        const y = plot.valToPos(row + 1, 'y');
        Object.assign(frame.style, {
          left: `${x}px`,
          top: `${y}px`,
          width: `${plot.valToPos(times[column] ?? 0, 'x') - x}px`,
          height: `${plot.valToPos(row, 'y') - y}px`,
        });
        const flip = left + box.offsetWidth + 24 > plot.over.clientWidth;
        box.style.left = `${flip ? Math.max(0, left - box.offsetWidth - 14) : left + 14}px`;
        box.style.top = `${Math.max(0, Math.min(top - 20, plot.over.clientHeight - box.offsetHeight))}px`;
      },
    },
  };
}

function tipOf(
  heat: Heat,
  row: number,
  column: number,
  format: Props['format'],
  formatCount: Props['formatCount'],
): HTMLElement[] {
  const ms = (heat.times[column] ?? 0) * 1000;
  const count = heat.cells[row]?.[column] ?? NaN;
  const all = heat.cells.reduce((sum, each) => sum + (each[column] || 0), 0);
  const share = all > 0 && count > 0 ? ` (${Number(((count / all) * 100).toPrecision(2))} % of this moment)` : '';
  return [
    part(`${day(ms)}, ${clock(ms).slice(0, 8)}`, classes.tipTime),
    part(bucketText(heat.edges[row] ?? NaN, heat.edges[row + 1] ?? NaN, format), undefined),
    part(Number.isNaN(count) ? 'nothing known' : `${formatCount(count)}${share}`, classes.tipStrong),
  ];
}

function bucketText(low: number, high: number, format: (value: number) => string): string {
  if (high === Infinity) return `above ${format(low)}`;
  return low === -Infinity ? `up to ${format(high)}` : `${format(low)} to ${format(high)}`;
}

function part(text: string, className: string | undefined): HTMLElement {
  const element = document.createElement('div');
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** What the colours mean, from nothing to the most. */
export function HeatLegend({ max, formatCount }: { max: number; formatCount: (count: number) => string }) {
  const dark = useComputedColorScheme('light') === 'dark';
  const steps = Array.from({ length: 24 }, (_, index) => heatColor((index + 1) / 24, dark));
  return (
    <div className={classes.heatLegend} data-testid="heat-legend">
      <span>0</span>
      <i style={{ background: `linear-gradient(90deg, ${token('--surface')}, ${steps.join(', ')})` }} aria-hidden />
      <span>{formatCount(max)} in one cell</span>
    </div>
  );
}
