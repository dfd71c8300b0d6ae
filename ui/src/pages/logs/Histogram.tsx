import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useComputedColorScheme } from '@mantine/core';
import { useMemo } from 'react';
import { queryLogMetric } from '../../api/loki';
import type { Answer as Numbers } from '../../api/prometheus';
import { alignSeries } from '../../charts/align';
import { TimeChart, type Line } from '../../charts/TimeChart';
import { formatCount, formatNumber } from '../../format/units';
import { Answer } from '../../status/Answer';
import { token } from '../../theme/palette';
import { bucketsOf, niceStep, toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { levelQuery } from './edit';
import { LEVEL_COLORS, LEVELS, levelOfLabels, type Level } from './level';
import classes from './Logs.module.css';

const HEIGHT = 112;
const BARS_MAX = 90;

/** How many rows of each severity there are over time. */
export function Histogram({ query }: { query: string }) {
  const time = useTime();
  const step = niceStep(time.range, BARS_MAX);
  const { first, last } = bucketsOf(time.range, step);
  const counts = useQuery({
    queryKey: ['log-levels', query, first, last, step, time.manual],
    queryFn: ({ signal }) =>
      // A bucket is counted at its end, a step after its beginning.
      queryLogMetric(
        levelQuery(query, step),
        { startNs: toNs((first + step) * 1000), endNs: toNs((last + step) * 1000) },
        step,
        signal,
      ),
    placeholderData: keepPreviousData,
  });
  return (
    <section className={classes.histogram} aria-label="Rows over time">
      <Answer query={counts} compact loading={<div style={{ height: HEIGHT + 22 }} />}>
        {(numbers) => <Bars numbers={numbers} first={first} last={last} step={step} />}
      </Answer>
    </section>
  );
}

function Bars({ numbers, first, last, step }: { numbers: Numbers; first: number; last: number; step: number }) {
  const time = useTime();
  const dark = useComputedColorScheme('light') === 'dark';
  const { times, levels } = useMemo(() => byLevel(numbers, first, last, step), [numbers, first, last, step]);
  const lines = useMemo<Line[]>(
    () =>
      levels.map(({ level, values }) => ({
        label: level,
        color: token(LEVEL_COLORS[level]) || (dark ? '#888' : '#999'),
        values,
      })),
    [levels, dark],
  );
  const total = levels.reduce((sum, { count }) => sum + count, 0);
  return (
    <>
      <div className={classes.levels}>
        <b data-testid="log-total">{formatCount(total)}</b> {total === 1 ? 'row' : 'rows'} in these bars
        {[...levels].reverse().map(({ level, count }) => (
          <span key={level}>
            <i style={{ background: `var(${LEVEL_COLORS[level]})` }} />
            {level} <b>{formatCount(count)}</b>
          </span>
        ))}
      </div>
      <TimeChart
        times={times}
        lines={lines}
        kind="bars"
        range={time.range}
        height={HEIGHT}
        format={formatNumber}
        onZoom={time.zoom}
        label={`Rows over time: ${levels.map(({ level, count }) => `${count} ${level}`).join(', ')}`}
      />
    </>
  );
}

interface LevelCounts {
  level: Level;
  values: (number | null)[];
  count: number;
}

/** One line per severity from the many names senders have for it, mildest first so that errors stand on top of the bars. */
export function byLevel(
  numbers: Numbers,
  first: number,
  last: number,
  step: number,
): { times: number[]; levels: LevelCounts[] } {
  const { times, values } = alignSeries(numbers.series, first + step, last + step, step);
  const found = new Map<Level, (number | null)[]>();
  numbers.series.forEach((series, index) => {
    const level = levelOfLabels(series.labels);
    const known = found.get(level);
    const row = values[index] ?? [];
    found.set(
      level,
      known
        ? known.map((value, at) => (value === null && row[at] == null ? null : (value ?? 0) + (row[at] ?? 0)))
        : row,
    );
  });
  const levels = [...LEVELS]
    .reverse()
    .filter((level) => found.has(level))
    .map((level) => {
      const row = found.get(level) ?? [];
      return { level, values: row, count: row.reduce<number>((sum, value) => sum + (value ?? 0), 0) };
    });
  // Each bar stands over the time it counted, which began one step before the instant of its number.
  return { times: times.map((at) => at - step), levels };
}
