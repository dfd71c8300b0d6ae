import { Button } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { memo } from 'react';
import { useAddress } from '../../app/address';
import { Busy, Loading } from '../../status/Loading';
import { Problem } from '../../status/Problem';
import classes from './Metrics.module.css';
import { NoSeries } from './NoSeries';
import { Note } from './Notes';
import { Panel } from './Panel';
import { lettersOf, picturesOf, type Drawn, type Part } from './pictures';
import { drawn as drawnAs, wordOf, type Asked } from './queries';
import { isRunningTotal } from './unit';
import { useChartHeight } from './useChartHeight';
import { useExemplars, useRangeAnswers } from './useAnswers';
import { useMetadata } from './useMetadata';

const HEIGHT_OF_SEVERAL = 250;

/** The answers of all queries that are on: what is of one kind in one picture, failures and empty answers beside them. */
export const Charts = memo(function Charts({ asked }: { asked: Asked[] }) {
  const [address, setAddress] = useAddress();
  const metadata = useMetadata();
  const { ref, chart } = useChartHeight();
  const answers = useRangeAnswers(asked);
  const withExemplars = address.exemplars !== 'off';
  const exemplars = useExemplars(asked, withExemplars);
  const parts = asked.flatMap((each, index): Part[] => {
    const answer = answers[index];
    return answer?.data?.series.length && !answer.isError ? [{ asked: each, drawn: answer.data }] : [];
  });
  const exemplarsOf = ({ asked: { letter } }: Part) =>
    (withExemplars && exemplars[asked.findIndex((each) => each.letter === letter)]?.data) || [];
  const pictures = picturesOf(parts, metadata);
  const several = asked.length > 1;
  // A query that was refused says so itself.
  const refused = exemplars.find((each, index) => each.error && !answers[index]?.isError)?.error;
  return (
    <div className={classes.answer} ref={ref} data-several={pictures.length > 1}>
      <Busy active={answers.some((each) => each.isFetching)} />
      {asked.map((each, index) => {
        const answer = answers[index];
        return answer && <Unshown key={each.letter} asked={each} answer={answer} several={several} />;
      })}
      {parts
        .filter(({ asked: { text } }) => isRunningTotal(text, metadata))
        .map(({ asked: { letter, text } }) => (
          <RunningTotal
            key={letter}
            letter={several ? letter : undefined}
            onRate={() => setAddress({ [wordOf('q', letter)]: `rate(${text}[5m])` })}
          />
        ))}
      {refused && <Note kind="info">Exemplars cannot be shown: {refused.message}</Note>}
      {pictures.map((picture) => (
        <Panel
          key={picture.key}
          picture={picture}
          several={several}
          height={pictures.length > 1 ? HEIGHT_OF_SEVERAL : chart}
          exemplars={picture.parts.flatMap(exemplarsOf)}
          onChange={(word, value) => setAddress(drawnAs(lettersOf(picture), word, value), { replace: true })}
        />
      ))}
    </div>
  );
});

/** What stands on the page for a query that has nothing to draw: why. */
function Unshown({ asked, answer, several }: { asked: Asked; answer: UseQueryResult<Drawn>; several: boolean }) {
  const { letter, text } = asked;
  if (answer.isError)
    return (
      <div className={classes.failed}>
        {several && <b>{letter}</b>}
        <Problem error={answer.error} onRetry={() => void answer.refetch()} compact={several} />
      </div>
    );
  if (answer.data === undefined) return <Loading lines={several ? 4 : 10} height={22} />;
  if (answer.data.series.length > 0) return null;
  if (!several) return <NoSeries query={text} />;
  return (
    <Note kind="info">
      <b>{letter}:</b> no series match <code>{text}</code> in this time.
    </Note>
  );
}

function RunningTotal({ letter, onRate }: { letter: string | undefined; onRate: () => void }) {
  return (
    <Note kind="info">
      {letter && <b>{letter}: </b>}
      This is a running total since each sender's start. What happened when is its rate.{' '}
      <Button variant="light" size="compact-xs" onClick={onRate}>
        Show the rate
      </Button>
    </Note>
  );
}
