import { useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { Answer as Numbers } from '../../api/prometheus';
import { alignSeries } from '../../charts/align';
import { Legend, pickLine } from '../../charts/Legend';
import { TimeChart } from '../../charts/TimeChart';
import { formatUnit, guessUnit, type Unit } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { seriesColor } from '../../theme/palette';
import { alignRange, niceStep, rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import classes from './Metrics.module.css';
import { seriesNames } from './names';

/** More lines than these nobody can tell apart, and the browser would draw for long. */
const LINES_MAX = 200;
const POINTS = 360;

interface Props {
  query: string;
  source: 'metrics' | 'logs';
  ask: (start: number, end: number, step: number, signal: AbortSignal) => Promise<Numbers>;
}

interface Drawn extends Numbers {
  start: number;
  end: number;
  step: number;
  query: string;
}

export function MetricChart({ query, source, ask }: Props) {
  const time = useTime();
  const step = niceStep(time.range, POINTS);
  const { start, end } = alignRange(time.range, step);
  const answer = useQuery({
    queryKey: [source, query, start, end, step, time.manual],
    queryFn: async ({ signal }): Promise<Drawn> => ({
      ...(await ask(start, end, step, signal)),
      start,
      end,
      step,
      query,
    }),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.answer}>
      <Answer
        query={answer}
        loading={<Loading lines={10} height={22} />}
        empty={(drawn) => (drawn.series.length ? null : <NoSeries query={query} />)}
      >
        {(drawn) => <Picture drawn={drawn} />}
      </Answer>
    </div>
  );
}

function Picture({ drawn }: { drawn: Drawn }) {
  const time = useTime();
  const dark = useComputedColorScheme('light') === 'dark';
  const [picked, setPicked] = useState<{ query: string; hidden: ReadonlySet<string> }>({
    query: drawn.query,
    hidden: new Set(),
  });
  const hidden = picked.query === drawn.query ? picked.hidden : undefined;
  const { ref, height } = useElementSize();
  const unit: Unit = guessUnit(drawn.query);
  const format = (value: number) => formatUnit(value, unit);

  const { times, lines } = useMemo(() => {
    const kept = drawn.series.slice(0, LINES_MAX);
    const names = seriesNames(kept, drawn.query);
    const order = [...names].sort((a, b) => a.localeCompare(b));
    const aligned = alignSeries(kept, drawn.start, drawn.end, drawn.step);
    return {
      times: aligned.times,
      lines: aligned.values.map((values, index) => {
        const label = names[index] ?? '';
        // A line's colour follows its name, so that a refresh with one series more does not repaint them all.
        return { label, values, color: seriesColor(order.indexOf(label), dark), hidden: hidden?.has(label) ?? false };
      }),
    };
  }, [drawn, dark, hidden]);

  const pick = (label: string, several: boolean) => {
    const all = lines.map((line) => line.label);
    setPicked({ query: drawn.query, hidden: pickLine(hidden ?? new Set(), all, label, several) });
  };
  const chartHeight = Math.max(220, Math.min(520, Math.round(height * 0.58)));
  return (
    <div className={classes.picture} ref={ref}>
      {drawn.warnings.map((warning) => (
        <p key={warning} className={classes.warning} role="status">
          {warning}
        </p>
      ))}
      {drawn.series.length > LINES_MAX && (
        <p className={classes.warning} role="status">
          Showing {LINES_MAX} of {drawn.series.length} series: aggregate with <code>sum by (…)</code> or{' '}
          <code>topk(20, …)</code> to see all.
        </p>
      )}
      <div className={classes.canvas}>
        <TimeChart
          times={times}
          lines={lines}
          kind="line"
          range={time.range}
          height={chartHeight}
          format={format}
          onZoom={time.zoom}
          label={`${drawn.query}: ${lines.length} series over time`}
        />
      </div>
      <div className={classes.legend} data-testid="legend">
        <Legend lines={lines} format={format} onPick={pick} />
      </div>
      <p className={classes.foot}>
        {lines.length} series, a point every {drawn.step} s. Drag over the chart to zoom; click a name to see it alone.
      </p>
    </div>
  );
}

export function NoSeries({ query }: { query: string }) {
  const time = useTime();
  return (
    <Empty
      title="No series match"
      hint={
        <>
          Asked for <code>{query}</code> in {rangePhrase(time.text, time.nowMs)}. Check the labels in the braces, or
          widen the time range; an empty query lists every metric there is.
        </>
      }
    />
  );
}
