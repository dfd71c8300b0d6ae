import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { queryInstant, type Answer as Numbers } from '../../api/prometheus';
import { formatUnit, guessUnit } from '../../format/units';
import { inputText } from '../../time/range';
import { Answer } from '../../status/Answer';
import { useTime } from '../../time/useTime';
import { Grid } from '../sql/Grid';
import { NoSeries } from './MetricChart';
import classes from './Metrics.module.css';

/** The values at the end of the range, with every label in a column of its own. */
export function MetricTable({ query }: { query: string }) {
  const time = useTime();
  const at = Math.floor(time.range.endMs / 1000);
  const answer = useQuery({
    queryKey: ['metrics', query, 'instant', at, time.manual],
    queryFn: ({ signal }) => queryInstant(query, at, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.answer}>
      <Answer query={answer} empty={(numbers) => (numbers.series.length ? null : <NoSeries query={query} />)}>
        {(numbers) => (
          <>
            <Grid {...tableOf(numbers, query)} />
            <p className={classes.foot}>
              {numbers.series.length} series at {inputText(at * 1000)}.
            </p>
          </>
        )}
      </Answer>
    </div>
  );
}

function tableOf({ series }: Numbers, query: string) {
  const names = [...new Set(series.flatMap((each) => Object.keys(each.labels)))].sort();
  const unit = guessUnit(query);
  const columns = [
    ...names.map((name) => ({ name, type: 'label' })),
    { name: 'value', type: 'float64' },
    ...(unit === 'none' ? [] : [{ name: 'reads as', type: 'text' }]),
  ];
  const rows = series.map(({ labels, values }) => {
    const value = values.at(-1) ?? NaN;
    return [...names.map((name) => labels[name] ?? ''), value, ...(unit === 'none' ? [] : [formatUnit(value, unit)])];
  });
  return { columns, rows };
}
