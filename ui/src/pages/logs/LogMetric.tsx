import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { queryLogMetric } from '../../api/loki';
import { guessUnit } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Loading } from '../../status/Loading';
import { alignRange, niceStep, toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import classes from '../metrics/Metrics.module.css';
import { NoSeries } from '../metrics/NoSeries';
import { Panel } from '../metrics/Panel';
import type { Drawn, Picture } from '../metrics/pictures';
import { POINTS } from '../metrics/useAnswers';
import { useChartHeight } from '../metrics/useChartHeight';

/** A LogQL query that answers numbers is drawn as the metrics page draws its own. */
export function LogMetric({ query }: { query: string }) {
  const time = useTime();
  const { ref, chart } = useChartHeight();
  const step = niceStep(time.range, POINTS);
  const { start, end } = alignRange(time.range, step);
  const answer = useQuery({
    queryKey: ['logs', query, start, end, step, time.manual],
    queryFn: async ({ signal }): Promise<Drawn> => ({
      ...(await queryLogMetric(query, { startNs: toNs(start * 1000), endNs: toNs(end * 1000) }, step, signal)),
      start,
      end,
      step,
      query,
    }),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.answer} ref={ref}>
      <Answer
        query={answer}
        loading={<Loading lines={10} height={22} />}
        empty={(drawn) => (drawn.series.length ? null : <NoSeries query={query} />)}
      >
        {(drawn) => <Panel picture={asLines(drawn)} several={false} height={chart} exemplars={[]} />}
      </Answer>
    </div>
  );
}

function asLines(drawn: Drawn): Picture {
  const unit = guessUnit(drawn.query);
  const asked = { letter: 'A', text: drawn.query, off: false, unit: undefined, draw: undefined, log: false } as const;
  const looks = { draw: 'lines', unit, unitGuessed: unit, countUnit: 'none', log: false, observes: false } as const;
  return { key: 'logs', ...looks, parts: [{ asked, drawn }] };
}
