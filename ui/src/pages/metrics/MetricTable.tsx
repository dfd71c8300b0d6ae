import { memo } from 'react';
import { inputText } from '../../time/range';
import { Busy, Loading } from '../../status/Loading';
import { Problem } from '../../status/Problem';
import { useTime } from '../../time/useTime';
import { Grid } from '../sql/Grid';
import classes from './Metrics.module.css';
import { NoSeries } from './NoSeries';
import { Notes } from './Notes';
import type { Asked } from './queries';
import { joined } from './table';
import { useInstantAnswers } from './useAnswers';
import { useMetadata } from './useMetadata';
import { unitOf } from './unit';

/** The values at the end of the range, with every label in a column of its own; several queries stand beside each other. */
export const MetricTable = memo(function MetricTable({ asked }: { asked: Asked[] }) {
  const time = useTime();
  const metadata = useMetadata();
  const answers = useInstantAnswers(asked);
  const parts = asked.flatMap((each, index) => {
    const answer = answers[index];
    if (!answer?.data || answer.isError) return [];
    const unit = each.unit ?? unitOf(each.text, metadata);
    return [{ letter: each.letter, unit, answer: answer.data }];
  });
  const table = joined(parts);
  const awaited = answers.some((each) => each.data === undefined && !each.isError);
  return (
    <div className={classes.answer}>
      <Busy active={answers.some((each) => each.isFetching)} />
      {answers.map(
        (each, index) =>
          each.isError && (
            <Problem
              key={asked[index]?.letter}
              error={each.error}
              onRetry={() => void each.refetch()}
              compact={asked.length > 1}
            />
          ),
      )}
      {parts.map(({ letter, answer }) => (
        <Notes
          key={letter}
          letter={asked.length > 1 ? letter : undefined}
          warnings={answer.warnings}
          infos={answer.infos}
        />
      ))}
      {awaited && <Loading lines={10} height={22} />}
      {table.rows.length > 0 && <Grid {...table} />}
      {!awaited && parts.length > 0 && table.rows.length === 0 && (
        <NoSeries query={asked.map(({ text }) => text).join(', ')} />
      )}
      {table.rows.length > 0 && (
        <p className={classes.foot}>
          {table.rows.length} rows at {inputText(Math.floor(time.range.endMs / 1000) * 1000)}.
          {parts.length > 1 && ' Series with the same labels share a row.'}
        </p>
      )}
    </div>
  );
});
