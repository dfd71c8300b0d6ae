import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import type { TraceSummary } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { timeAxis, valueAxis } from '../../charts/axes';
import { clock } from '../../format/time';
import { formatCount, formatDuration } from '../../format/units';
import { token } from '../../theme/palette';
import { useTime } from '../../time/useTime';
import classes from './Traces.module.css';

const HEIGHT = 176;
const NEAR_PX = 14;
/** A drag lower than this chooses a time, a higher one durations too; narrower than this it is a click. */
const DRAG_PX = 5;
const DRAG_HIGH_PX = 18;
/** A logarithm knows no zero, milliseconds. */
const LEAST_MS = 0.001;

interface Near {
  trace: TraceSummary;
  left: number;
  top: number;
}

interface Props {
  traces: TraceSummary[];
  /** What was dragged over; the durations are undefined where all of them are meant. */
  onBrush: (startMs: number, endMs: number, lowMs: number | undefined, highMs: number | undefined) => void;
}

/** Each trace a point: when it began, how long it took, on a logarithmic scale; red and square when a span of it failed. */
export function TraceScatter({ traces, onBrush }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const time = useTime();
  const [address] = useAddress();
  const navigate = useNavigate();
  const dark = useComputedColorScheme('light') === 'dark';
  const [near, setNear] = useState<Near>();
  const sorted = useMemo(() => [...traces].sort((a, b) => a.startMs - b.startMs), [traces]);
  const { startMs, endMs } = time.range;

  const open = useEffectEvent((trace: TraceSummary) => {
    void navigate({ to: '/trace/$traceId', params: { traceId: trace.traceId }, search: timeWords(address) });
  });
  const brush = useEffectEvent(onBrush);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let found: Near | undefined;
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        padding: [10, 12, 0, 0],
        cursor: { drag: { x: true, y: true, uni: DRAG_HIGH_PX, setScale: false }, points: { show: false }, y: false },
        scales: { x: { time: true, range: [startMs / 1000, endMs / 1000] }, y: { distr: 3 } },
        axes: [timeAxis(), durationAxis()],
        series: [{}, points(token('--accent'), dark), { ...points(token('--bad-fill'), dark), paths: () => null }],
        hooks: {
          draw: [(self) => squares(self, sorted, token('--bad-fill'))],
          setCursor: [
            (self) => {
              const next = nearest(self, sorted);
              if (next?.trace !== found?.trace) setNear(next);
              found = next;
              self.over.style.cursor = next ? 'pointer' : 'crosshair';
            },
          ],
          setSelect: [(self) => selected(self, (...chosen) => brush(...chosen))],
          ready: [
            (self) => {
              let down = { x: 0, y: 0 };
              self.over.addEventListener('pointerdown', (event) => (down = { x: event.clientX, y: event.clientY }));
              self.over.addEventListener('click', (event) => {
                // A drag that ends on a point is no click on it.
                const moved = Math.hypot(event.clientX - down.x, event.clientY - down.y);
                if (found && moved < DRAG_PX) open(found.trace);
              });
            },
          ],
        },
      },
      [
        sorted.map((trace) => trace.startMs / 1000),
        sorted.map((trace) => (trace.errorCount ? null : durationOf(trace))),
        sorted.map((trace) => (trace.errorCount ? durationOf(trace) : null)),
      ],
      element,
    );
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
      setNear(undefined);
    };
  }, [sorted, dark, startMs, endMs]);

  return (
    <div className={classes.scatter}>
      <div className={classes.scatterHead}>
        <span>
          Each point is a trace: the higher, the longer it took.{' '}
          <span>
            <i data-error="true" /> failed <i /> did not.
          </span>
        </span>
        <span className="dim">Drag to choose a time and durations, click a point to open it.</span>
      </div>
      <div ref={box} style={{ height: HEIGHT }} role="img" aria-label={inWords(traces)} data-testid="scatter" />
      {near && (
        <div
          className={classes.tip}
          style={{
            left: Math.max(4, Math.min(near.left + 70, (box.current?.clientWidth ?? 600) - 260)),
            top: Math.max(4, near.top - 12),
          }}
        >
          <b>{formatDuration(near.trace.durationMs)}</b> {near.trace.service}
          {near.trace.errorCount ? <span className={classes.tipError}> {near.trace.errorCount} failed</span> : ''}
          <br />
          <span className="dim">
            {clock(near.trace.startMs)} {near.trace.name}
          </span>
        </div>
      )}
    </div>
  );
}

function durationOf(trace: TraceSummary): number {
  return Math.max(trace.durationMs, LEAST_MS);
}

function nearest(plot: uPlot, traces: TraceSummary[]): Near | undefined {
  const { left = -1, top = -1 } = plot.cursor;
  let best: Near | undefined;
  let distance = NEAR_PX;
  for (const trace of traces) {
    const at = { left: plot.valToPos(trace.startMs / 1000, 'x'), top: plot.valToPos(durationOf(trace), 'y') };
    const away = Math.hypot(at.left - left, at.top - top);
    if (away < distance) {
      distance = away;
      best = { trace, ...at };
    }
  }
  return best;
}

function selected(plot: uPlot, brush: Props['onBrush']) {
  const { left, top, width, height } = plot.select;
  if (width < DRAG_PX && height < DRAG_HIGH_PX) return;
  const whole = plot.over.clientHeight;
  const ofTime = (at: number) => plot.posToVal(at, 'x') * 1000;
  const ofDuration = (at: number) => plot.posToVal(at, 'y');
  const narrowX = width >= DRAG_PX && width < plot.over.clientWidth;
  const startMs = narrowX ? ofTime(left) : (plot.scales.x?.min ?? 0) * 1000;
  const endMs = narrowX ? ofTime(left + width) : (plot.scales.x?.max ?? 0) * 1000;
  const high = height >= DRAG_HIGH_PX && height < whole;
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  brush(
    startMs,
    endMs,
    high && top + height < whole - 1 ? ofDuration(top + height) : undefined,
    high && top > 1 ? ofDuration(top) : undefined,
  );
}

function points(color: string, dark: boolean): uPlot.Series {
  return {
    stroke: color,
    paths: () => null,
    points: { show: true, size: 7, width: 1, stroke: color, fill: `${color}${dark ? '99' : '88'}` },
  };
}

/** Failed traces are squares, larger than the rest and on top: shape tells them apart as well as colour. */
function squares(plot: uPlot, traces: TraceSummary[], color: string) {
  const { ctx } = plot;
  const size = 9 * (window.devicePixelRatio || 1);
  ctx.save();
  ctx.fillStyle = color;
  ctx.strokeStyle = token('--surface');
  for (const trace of traces) {
    if (!trace.errorCount) continue;
    const x = plot.valToPos(trace.startMs / 1000, 'x', true);
    const y = plot.valToPos(durationOf(trace), 'y', true);
    ctx.fillRect(x - size / 2, y - size / 2, size, size);
    ctx.strokeRect(x - size / 2, y - size / 2, size, size);
  }
  ctx.restore();
}

/** What a screen reader says of the picture; the list below has each trace. */
function inWords(traces: TraceSummary[]): string {
  const sorted = traces.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
  const failed = traces.filter(({ errorCount }) => errorCount).length;
  const middle = formatDuration(sorted[sorted.length >> 1] ?? NaN);
  return `Durations of ${formatCount(traces.length)} traces over time: half of them up to ${middle}, the longest ${formatDuration(sorted.at(-1) ?? NaN)}, ${formatCount(failed)} with errors`;
}

function durationAxis(): uPlot.Axis {
  const axis = valueAxis(formatDuration);
  return { ...axis, filter: decades, grid: { ...axis.grid, filter: decades } };
}

/** Labels only 1, 10, 100 …, and 2 and 5 between them while few decades show. */
function decades(_: uPlot, splits: number[]): (number | null)[] {
  const wide = splits.length > 22;
  return splits.map((value) => {
    const lead = Number(value.toExponential().charAt(0));
    return lead === 1 || (!wide && (lead === 2 || lead === 5)) ? value : null;
  });
}
