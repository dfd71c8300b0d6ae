import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import type { TraceSummary } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { timeAxis, valueAxis } from '../../charts/axes';
import { clock } from '../../format/time';
import { formatDuration } from '../../format/units';
import { token } from '../../theme/palette';
import { useTime } from '../../time/useTime';
import classes from './Traces.module.css';

const HEIGHT = 170;
const NEAR_PX = 14;

interface Near {
  trace: TraceSummary;
  left: number;
  top: number;
}

/** Each trace a point: when it began, how long it took, on a logarithmic scale; red when a span of it failed. */
export function TraceScatter({ traces }: { traces: TraceSummary[] }) {
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
  const zoom = useEffectEvent(time.zoom);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const y = (trace: TraceSummary) => Math.max(trace.durationMs, 0.1);
    const nearest = (plot: uPlot): Near | undefined => {
      const { left = -1, top = -1 } = plot.cursor;
      let best: Near | undefined;
      let distance = NEAR_PX;
      for (const trace of sorted) {
        const at = { left: plot.valToPos(trace.startMs / 1000, 'x'), top: plot.valToPos(y(trace), 'y') };
        const away = Math.hypot(at.left - left, at.top - top);
        if (away < distance) {
          distance = away;
          best = { trace, ...at };
        }
      }
      return best;
    };
    const points = (color: string): uPlot.Series => ({
      stroke: color,
      paths: () => null,
      points: { show: true, size: 7, width: 1, stroke: color, fill: `${color}${dark ? '99' : '88'}` },
    });
    let found: Near | undefined;
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        padding: [10, 12, 0, 0],
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
        scales: { x: { time: true, range: [startMs / 1000, endMs / 1000] }, y: { distr: 3 } },
        axes: [timeAxis(), durationAxis()],
        series: [{}, points(token('--accent')), points(token('--bad-fill'))],
        hooks: {
          setCursor: [
            (self) => {
              const next = nearest(self);
              if (next?.trace !== found?.trace) setNear(next);
              found = next;
              self.over.style.cursor = next ? 'pointer' : 'crosshair';
            },
          ],
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, 'x') * 1000;
              zoom({ startMs: from, endMs: self.posToVal(self.select.left + self.select.width, 'x') * 1000 });
            },
          ],
          ready: [
            (self) => {
              self.over.addEventListener('click', () => {
                if (found) open(found.trace);
              });
            },
          ],
        },
      },
      [
        sorted.map((trace) => trace.startMs / 1000),
        sorted.map((trace) => (trace.errorCount ? null : y(trace))),
        sorted.map((trace) => (trace.errorCount ? y(trace) : null)),
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
      <div
        ref={box}
        style={{ height: HEIGHT }}
        role="img"
        aria-label={`Durations of ${traces.length} traces over time`}
        data-testid="scatter"
      />
      {near && (
        <div
          className={classes.tip}
          style={{
            left: Math.min(near.left + 70, (box.current?.clientWidth ?? 600) - 260),
            top: Math.max(4, near.top - 34),
          }}
        >
          <b>{formatDuration(near.trace.durationMs)}</b> {near.trace.service}
          <br />
          <span className="dim">
            {clock(near.trace.startMs)} {near.trace.name}
          </span>
        </div>
      )}
    </div>
  );
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
