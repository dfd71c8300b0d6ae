import type uPlot from 'uplot';
import { token } from '../theme/palette';

const two = (value: number) => String(value).padStart(2, '0');

/** Clock times on a 24 h dial, with the date where a day begins. */
function timeTicks(_: uPlot, splits: number[], __: number, ___: number, stepSeconds: number): string[] {
  let lastDay = '';
  return splits.map((seconds, index) => {
    const date = new Date(seconds * 1000);
    const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
    const newDay = day !== lastDay && (index > 0 || stepSeconds >= 86400);
    lastDay = day;
    if (stepSeconds >= 86400) return day;
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return newDay ? `${clock}\n${day}` : stepSeconds < 60 ? `${clock}:${two(date.getSeconds())}` : clock;
  });
}

function look(): Pick<uPlot.Axis, 'stroke' | 'font' | 'grid' | 'ticks'> {
  return {
    stroke: token('--dim'),
    font: '11px Inter, system-ui, sans-serif',
    grid: { stroke: token('--grid'), width: 1 },
    ticks: { show: false },
  };
}

export function timeAxis(): uPlot.Axis {
  return { ...look(), values: timeTicks, space: 72, size: 30, gap: 6 };
}

export function valueAxis(format: (value: number) => string): uPlot.Axis {
  return {
    ...look(),
    values: (_, splits) => splits.map((value) => (value === null ? '' : format(value))),
    space: 34,
    gap: 6,
    // Wide enough for its longest label, so that no number is cut off.
    size: (plot, values) => {
      const longest = Math.max(0, ...(values ?? []).map((text) => text.length));
      return Math.max(40, longest * 6.6 + 14) * (plot.axes.length ? 1 : 0);
    },
  };
}
