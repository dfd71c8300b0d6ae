import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { queryRange } from '../../api/prometheus';
import { Sparkline } from '../../charts/Sparkline';
import { clock, day } from '../../format/time';
import { alignRange, niceStep, rangeLabel } from '../../time/range';
import { useTime } from '../../time/useTime';
import classes from './Map.module.css';

const MINUTE_MS = 60_000;
/** How long the slider rests before the map follows it. */
const REST_MS = 160;

interface Props {
  atMs: number | undefined;
  onMove: (atMs: number | undefined) => void;
}

/** The map at any moment of the range, with the errors of all calls above the slider, so that one sees where to look. */
export function History({ atMs, onMove }: Props) {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const first = Math.ceil(startMs / MINUTE_MS) * MINUTE_MS;
  const last = Math.max(first + MINUTE_MS, Math.floor(endMs / MINUTE_MS) * MINUTE_MS);
  const [dragged, setDragged] = useState<number>();
  const waiting = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(waiting.current), []);
  const shown = dragged ?? atMs;
  const step = Math.max(60, niceStep(time.range, 120));
  const aligned = alignRange(time.range, step);
  const errors = useQuery({
    queryKey: ['map-errors', aligned, step, time.manual],
    queryFn: ({ signal }) =>
      queryRange(`sum(sum_over_time(tyto_topology_edge_errors[${step}s]))`, aligned.start, aligned.end, step, signal),
  });
  const byTime = new Map(errors.data?.series[0]?.times.map((at, index) => [at, errors.data.series[0]?.values[index]]));
  const values: number[] = [];
  for (let at = aligned.start; at <= aligned.end; at += step) values.push(byTime.get(at) ?? 0);
  const words = (ms: number) => `${day(ms)}, ${clock(ms).slice(0, 5)}`;
  const move = (to: number) => {
    setDragged(to);
    clearTimeout(waiting.current);
    waiting.current = setTimeout(() => {
      setDragged(undefined);
      onMove(to);
    }, REST_MS);
  };
  return (
    <section className={classes.history} aria-label="History">
      <p>
        {shown === undefined ? (
          <>
            <b>{rangeLabel(time.text, time.nowMs)}</b> <span className="dim">all of it; slide to see one moment</span>
          </>
        ) : (
          <>
            <b data-testid="map-moment">{words(shown)}</b> <span className="dim">the five minutes before</span>
          </>
        )}
      </p>
      <div className={classes.track}>
        <Sparkline values={values} color="var(--bad-fill)" top={4} height={22} label="Failed calls over time" />
        <input
          type="range"
          min={first}
          max={last}
          step={MINUTE_MS}
          value={Math.min(last, Math.max(first, shown ?? last))}
          data-whole={shown === undefined}
          aria-label="The moment that the map shows"
          aria-valuetext={shown === undefined ? 'the whole time' : words(shown)}
          onChange={(event) => move(Number(event.currentTarget.value))}
        />
      </div>
      <Button variant="default" disabled={shown === undefined} onClick={() => onMove(undefined)}>
        The whole time
      </Button>
    </section>
  );
}
