import { IconCircleCheck, IconCircleDashed, IconCircleX } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ComponentScore, Scorecard, Verdict } from '../../api/scorecard';
import { timeWords, useAddress } from '../../app/address';
import { formatCount } from '../../format/units';
import classes from './Scorecard.module.css';
import { Steps } from './Steps';
import { lacks, signals } from './words';

/** One component: where it stands, what lifts it, and on demand everything that it is judged by. */
export function ComponentRow({ score, card }: { score: ComponentScore; card: Scorecard }) {
  const [address] = useAddress();
  const { path, declared, level, figures } = score;
  const next = lacks(score);
  const [name, above] = [path.slice(path.lastIndexOf('/') + 1), path.slice(0, path.lastIndexOf('/'))];
  const came = figures.logs + figures.spans + figures.points;
  return (
    <details className={classes.component} data-testid="component">
      <summary>
        <span className={classes.title}>
          {declared ? (
            <Link
              to="/catalogue/$path"
              params={{ path }}
              search={timeWords(address)}
              className={classes.name}
              onClick={(event) => event.stopPropagation()}
            >
              {name}
            </Link>
          ) : (
            <b className={classes.name}>{name === '-' ? 'names no component' : name}</b>
          )}
          <small className="dim">{above.replaceAll('/', ' / ')}</small>
        </span>
        <Steps level={level} levels={card.levels} />
        <span className="dim">{signals(score)}</span>
        <span className={classes.what}>
          {level === undefined
            ? `${formatCount(came)} ${came === 1 ? 'record' : 'records'} came, ${formatCount(card.recordsLeast)} are needed to judge`
            : next.length
              ? next[0]?.says
              : 'Nothing is left to do'}
          {next.length > 1 && <small className="dim"> and {next.length - 1} more</small>}
        </span>
      </summary>
      {card.levels.slice(1).map(({ level: of, name: title }) => (
        <div key={of} className={classes.asked}>
          <h3>
            Level {of}, {title}
          </h3>
          <ul>
            {score.verdicts
              .filter((each) => each.level === of)
              .map((each) => (
                <VerdictLine key={each.rule} verdict={each} />
              ))}
          </ul>
        </div>
      ))}
    </details>
  );
}

function VerdictLine({ verdict: { met, says } }: { verdict: Verdict }) {
  const Icon = met === undefined ? IconCircleDashed : met ? IconCircleCheck : IconCircleX;
  return (
    <li data-met={met ?? 'unknown'}>
      <Icon size={16} aria-label={met === undefined ? 'cannot be told' : met ? 'is so' : 'is not so'} />
      <span>{says}</span>
    </li>
  );
}
