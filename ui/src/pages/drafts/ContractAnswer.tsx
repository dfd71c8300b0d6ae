import type { Breach, ContractTrial } from '../../api/contracts';
import { formatCount } from '../../format/units';
import { Empty } from '../../status/Empty';
import { counted } from '../pipelines/words';
import { ownerOf, placeOf, wrong } from '../quarantine/words';
import classes from './Trial.module.css';
import { brokenBy, judgedWords, lineOf, outcomeWords } from './words';

interface Props {
  trial: ContractTrial;
  /** "the last 24 hours" */
  period: string;
  /** Whose records were judged; empty: of whoever names the contract. */
  whom: string;
  /** The draft, as rules of it name their file. */
  file: string;
  onPlace: (line: number) => void;
}

/** Who would break which rule, and what would happen with their records. */
export function ContractAnswer({ trial, period, whom, file, onPlace }: Props) {
  if (trial.records === 0)
    return (
      <Empty
        title={`Nothing to judge came in ${period}`}
        hint={`${trial.sampled ? 'None of the records that were looked at' : `None of ${formatCount(trial.came)} records`} has this contract. Choose another owner, or a longer time.`}
      />
    );
  return (
    <>
      <p className={classes.judged} data-testid="judged">
        {judgedWords(trial, period, whom)}
      </p>
      <dl className={classes.figures} data-testid="outcome">
        <Figure name="Stored and counted" value={trial.observed} says="they break it, and are kept" />
        <Figure name="Set aside" value={trial.quarantined} says="they wait in quarantine" />
        <Figure name="Refused" value={trial.rejected} says="their sender is told" />
      </dl>
      {trial.breaches.map((breach) => (
        <BreachCard key={keyOf(breach)} breach={breach} file={file} onPlace={onPlace} />
      ))}
      {trial.breachesLeftOut > 0 && (
        <p className="dim">{formatCount(trial.breachesLeftOut)} more records broke further rules.</p>
      )}
    </>
  );
}

function Figure({ name, value, says }: { name: string; value: number; says: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {formatCount(value)}
        <small>{says}</small>
      </dd>
    </div>
  );
}

function BreachCard({ breach, file, onPlace }: { breach: Breach; file: string; onPlace: (line: number) => void }) {
  const { name, below } = ownerOf(breach);
  const line = lineOf(breach.at, file);
  return (
    <article className={classes.breach} data-testid="breach">
      <h2>{wrong(breach)}</h2>
      <p>
        {counted(brokenBy(breach), 'record')} of <b>{name}</b>
        {below && ` ${below}`}
        {outcomeWords(breach)}
      </p>
      <p className="dim">
        The rule stands{' '}
        {line === undefined ? (
          <>
            in <code>{placeOf(breach.at)}</code>
          </>
        ) : (
          <button type="button" className={classes.place} onClick={() => onPlace(line)}>
            in line {line}
          </button>
        )}
        .
      </p>
      {breach.sample.length > 0 && (
        <details className={classes.rest}>
          <summary>What one of them has, by kinds of values</summary>
          <dl>
            {breach.sample.map(([attribute, kind]) => (
              <div key={attribute}>
                <dt>{attribute}</dt>
                <dd>{kind}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </article>
  );
}

function keyOf({ businessService, service, component, contract, rule, path }: Breach): string {
  return JSON.stringify([businessService, service, component, contract, rule, path]);
}
