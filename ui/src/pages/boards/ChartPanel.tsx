import { useComputedColorScheme } from '@mantine/core';
import type { ChartTile } from '../../api/boards';
import { alignSeries } from '../../charts/align';
import { TimeChart } from '../../charts/TimeChart';
import { seriesColor } from '../../theme/palette';
import classes from './Boards.module.css';
import { formatCount } from './words';

const KINDS = { line: 'line', bars: 'bars', area: 'stacked' } as const;
const nothing = () => undefined;

export function ChartPanel({ tile, startMs, endMs }: { tile: ChartTile; startMs: number; endMs: number }) {
  const dark = useComputedColorScheme('light') === 'dark';
  if (!tile.series.some(({ points }) => points.length)) return <p className={classes.nothing}>nothing yet</p>;
  const step = tile.stepMs / 1000;
  const times = tile.series.flatMap(({ points }) => points.map(({ atMs }) => atMs / 1000));
  const series = tile.series.map(({ name, points }) => ({
    name,
    labels: {},
    times: points.map(({ atMs }) => atMs / 1000),
    values: points.map(({ value }) => value),
  }));
  const grid = alignSeries(series, Math.min(...times), Math.max(...times), step);
  const lines = series.map(({ name }, index) => ({
    label: name || tile.title,
    color: seriesColor(index, dark),
    values: grid.values[index] ?? [],
  }));
  return (
    <>
      <TimeChart
        times={grid.times}
        lines={lines}
        kind={KINDS[tile.look]}
        // The bar of the hour that is not over yet has its room.
        range={{ startMs, endMs: Math.max(endMs, Math.max(...times) * 1000 + tile.stepMs / 2) }}
        height={300}
        format={formatCount}
        onZoom={nothing}
        label={`${tile.title}: ${lines.length} ${lines.length === 1 ? 'series' : 'series'} over time`}
      />
      {lines.length > 1 && (
        <ul className={classes.legend}>
          {lines.map(({ label, color }) => (
            <li key={label}>
              <span className={classes.swatch} style={{ background: color }} aria-hidden />
              {label}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
