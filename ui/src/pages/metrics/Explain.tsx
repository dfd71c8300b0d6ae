import { memo } from 'react';
import { formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { costSentence, figuresOf } from './cost';
import classes from './Explain.module.css';
import { Notes } from './Notes';
import type { Drawn } from './pictures';
import type { Asked } from './queries';
import { useRangeAnswers } from './useAnswers';

/** What each answer cost, and what the server said about it. */
export const Explain = memo(function Explain({ asked }: { asked: Asked[] }) {
  const answers = useRangeAnswers(asked);
  const slowest = Math.max(...answers.map(({ data }) => secondsOf(data) ?? 0));
  return (
    <div className={classes.page} data-testid="explain">
      {asked.map(({ letter, text }, index) => {
        const answer = answers[index];
        return (
          answer && (
            <article key={letter} className={classes.card}>
              <h2>
                <b>{letter}</b> <code>{text}</code>
              </h2>
              <Answer query={answer}>
                {(drawn) => <Cost drawn={drawn} slowest={asked.length > 1 ? slowest : 0} />}
              </Answer>
            </article>
          )
        );
      })}
    </div>
  );
});

function secondsOf(drawn: Drawn | undefined): number | undefined {
  return drawn?.stats?.totalSeconds ?? (drawn?.tookMs === undefined ? undefined : drawn.tookMs / 1000);
}

function Cost({ drawn, slowest }: { drawn: Drawn; slowest: number }) {
  const points = drawn.series.reduce((sum, { times }) => sum + times.length, 0);
  const seconds = secondsOf(drawn) ?? 0;
  return (
    <>
      <p className={classes.sentence}>{costSentence(drawn.stats)}</p>
      {slowest > 0 && (
        <div className={classes.compare} title="Time of this query against the slowest">
          <i style={{ width: `${Math.max(1, (seconds / slowest) * 100)}%` }} />
          <span>
            {formatDuration(seconds * 1000)}
            {seconds === slowest && ', the slowest'}
          </span>
        </div>
      )}
      <Notes warnings={drawn.warnings} infos={drawn.infos} />
      <dl className={classes.figures}>
        {figuresOf(drawn.stats, drawn.tookMs, drawn.series.length, points).map(({ name, value, what }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            <small>{what}</small>
          </div>
        ))}
      </dl>
    </>
  );
}
