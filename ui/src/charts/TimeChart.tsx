import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useEffectEvent, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import type { Range } from '../time/range';
import { stack } from './align';
import { timeAxis, valueAxis } from './axes';
import classes from './charts.module.css';
import { exemplarMarks, type Marks } from './exemplarMarks';
import { tooltip } from './tooltip';

export interface Line {
  label: string;
  color: string;
  values: (number | null)[];
  hidden?: boolean;
}

interface Props {
  /** Unix seconds, ascending, one for each value of each line. */
  times: number[];
  lines: Line[];
  /** Bars are stacked too. */
  kind: 'line' | 'stacked' | 'bars';
  /** A logarithmic scale; what is not above zero has no place on it. Lines only. */
  log?: boolean;
  range: Range;
  height: number;
  format: (value: number) => string;
  onZoom: (range: Range) => void;
  /** What a screen reader says of the picture. */
  label: string;
  marks?: Marks;
  /** Charts with the same key show their cursors together. */
  syncKey?: string;
}

/** Lines, stacked areas or stacked bars over time on a canvas; dragging over it zooms. */
export function TimeChart({ times, lines, kind, log, range, height, format, onZoom, label, marks, syncKey }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ lines, times });
  const dark = useComputedColorScheme('light') === 'dark';

  const data = useMemo<uPlot.AlignedData>(() => {
    if (kind === 'line') return [times, ...lines.map((line) => (log ? line.values.map(positive) : line.values))];
    return [times, ...stack(shownOf(lines).map((line) => line.values)).reverse()];
  }, [times, lines, kind, log]);
  const shape = JSON.stringify([
    kind,
    log,
    syncKey,
    dark,
    height,
    lines.map((line) => [line.label, line.color, line.hidden]),
  ]);

  const zoom = useEffectEvent(onZoom);
  const text = useEffectEvent(format);
  const marked = useEffectEvent(() => marks);
  const bounds = useRef(range);

  useEffect(() => {
    latest.current = { lines, times };
    bounds.current = range;
  });

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const stacked = kind !== 'line';
    const drawn = stacked ? shownOf(latest.current.lines).reverse() : latest.current.lines;
    const options: uPlot.Options = {
      width: element.clientWidth,
      height,
      legend: { show: false },
      padding: [10, 12, 0, 0],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
        focus: { prox: 24 },
        y: false,
        ...(syncKey ? { sync: { key: syncKey, setSeries: false } } : {}),
      },
      focus: { alpha: kind === 'line' ? 0.35 : 1 },
      scales: {
        x: { time: true, range: () => [bounds.current.startMs / 1000, bounds.current.endMs / 1000] },
        y: log
          ? { distr: 3, range: (_, low, high) => decades(low, high) }
          : { range: (_, low, high) => padded(low, high) },
      },
      axes: [timeAxis(), valueAxis((value) => text(value))],
      series: [{}, ...drawn.map((line) => (kind === 'bars' ? bar(line) : stroke(line, kind === 'stacked')))],
      // Each area ends where the one below it begins, so that colours do not mix.
      bands: kind === 'stacked' ? areas(drawn) : [],
      hooks: {
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
        tooltip(
          () => latest.current,
          (value) => text(value),
        ),
        exemplarMarks(() => marked()),
      ],
    };
    const made = new uPlot(options, [[], ...drawn.map(() => [])], element);
    plot.current = made;
    const resized = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
    // `shape` stands for the lines' looks: new numbers alone must not rebuild the chart under the pointer.
  }, [shape, kind, height, log, syncKey]);

  const exemplars = marks?.exemplars;
  useEffect(() => {
    plot.current?.setData(data, true);
  }, [data, shape, exemplars, range.startMs, range.endMs]);

  return <div ref={box} className={classes.chart} style={{ height }} role="img" aria-label={label} />;
}

function positive(value: number | null): number | null {
  return value !== null && value > 0 ? value : null;
}

function shownOf(lines: Line[]): Line[] {
  return lines.filter((line) => !line.hidden);
}

/** From above to below, as they are drawn; the lowest fills itself down to zero. */
function areas(drawn: Line[]): uPlot.Band[] {
  return drawn.slice(0, -1).map((line, index) => ({ series: [index + 1, index + 2], fill: `${line.color}66` }));
}

function decades(low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null || !(low > 0) || !(high > 0)) return [0.1, 10];
  return low === high ? [low / 10, high * 10] : [low * 0.8, high * 1.25];
}

function stroke(line: Line, filled: boolean): uPlot.Series {
  return {
    label: line.label,
    stroke: line.color,
    width: 1.5,
    fill: filled ? `${line.color}66` : undefined,
    show: !line.hidden,
    points: { show: lonely, size: 4, fill: line.color },
  };
}

/** Draws a point only where a line cannot: for a series whose values stand alone between gaps. */
function lonely(plot: uPlot, index: number): boolean {
  const values = plot.data[index] ?? [];
  return (
    values.length <= 2 ||
    values.every((value, at) => value == null || (values[at - 1] == null && values[at + 1] == null))
  );
}

function bar(line: Line): uPlot.Series {
  return {
    label: line.label,
    stroke: line.color,
    fill: line.color,
    width: 0,
    show: !line.hidden,
    paths: uPlot.paths.bars?.({ size: [0.86, 40], align: 1, gap: 1 }),
    points: { show: false },
  };
}

/** From zero where that does not flatten the picture; never a band of height nought. */
function padded(low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : low > 0 ? [0, low * 1.25] : [low * 1.25, 0];
  const room = (high - low) * 0.08;
  const bottom = low >= 0 && low < high * 0.75 ? 0 : low - room;
  return [bottom, high + room];
}
