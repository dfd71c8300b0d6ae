import { Button, SegmentedControl } from '@mantine/core';
import { IconStairs } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fetchScorecard, type Question, type Scorecard as Card, type Summary } from '../../api/scorecard';
import { timeWords, useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { Verdict } from '../../status/Verdict';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { ComponentRow } from './ComponentRow';
import { Steps } from './Steps';
import classes from './Scorecard.module.css';
import { percent, ratio, unassignedWords, verdict } from './words';

/** How well everything can be watched: each team at one of four levels, with what lifts it to the next. */
export default function Scorecard() {
  const time = useTime();
  const [address] = useAddress();
  const { startMs, endMs } = time.range;
  const whom = { team: address.team, businessService: address.business_service };
  const card = useQuery({
    queryKey: ['scorecard', whom, startMs, endMs, time.manual],
    queryFn: ({ signal }) => fetchScorecard(whom, startMs / 1000, endMs / 1000, signal),
    // The figures of one team are never shown under the name of another.
    placeholderData: (before, query) =>
      JSON.stringify(query?.queryKey[1]) === JSON.stringify(whom) ? before : undefined,
  });
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Answer query={card}>{(found) => <Shown card={found} />}</Answer>
      </div>
    </div>
  );
}

function Shown({ card }: { card: Card }) {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const { team, business_service: business } = address;
  const narrow = team !== undefined || business !== undefined;
  const whom = team ? `Team ${team}` : (business ?? 'All together');
  const { title, text } = verdict(card.all, card.levels, whom);
  const nobody = narrow ? undefined : unassignedWords(card.unassigned, card.all.figures);
  return (
    <>
      <Verdict
        icon={IconStairs}
        title={title}
        aside={
          narrow && (
            <Button variant="default" onClick={() => setAddress({ team: undefined, business_service: undefined })}>
              Show everybody
            </Button>
          )
        }
      >
        <p className="dim">
          {text} Judged by {rangePhrase(time.text, time.nowMs)}.
        </p>
        {nobody && (
          <p className="dim">
            {nobody}:{' '}
            <Link to="/catalogue" search={{ ...timeWords(address), view: 'unclaimed' }}>
              whose could they be?
            </Link>
          </p>
        )}
      </Verdict>
      <ol className={classes.levels} aria-label="The levels">
        {card.levels.map(({ level, name, means }) => (
          <li key={level} aria-current={card.all.level === level ? 'step' : undefined}>
            <b>
              {level} {name}
            </b>
            <span className="dim">{means}</span>
          </li>
        ))}
      </ol>
      {card.warnings.map((warning) => (
        <p key={warning} className={classes.warning}>
          {warning}
        </p>
      ))}
      {card.all.lifts.length > 0 && <Lifts lifts={card.all.lifts} level={(card.all.level ?? 0) + 1} />}
      {narrow ? <Components card={card} /> : <Everybody card={card} />}
      <Questions questions={card.questions} />
    </>
  );
}

function Lifts({ lifts, level }: { lifts: string[]; level: number }) {
  return (
    <section className={classes.lifts} data-testid="lifts">
      <h2>What lifts it to level {level}</h2>
      <ul>
        {lifts.map((lift) => (
          <li key={lift}>{lift}</li>
        ))}
      </ul>
    </section>
  );
}

function Everybody({ card }: { card: Card }) {
  const [address, setAddress] = useAddress();
  const business = address.view === 'business_service';
  const rows = business ? card.businessServices : card.teams;
  return (
    <section className={classes.table}>
      <SegmentedControl
        size="xs"
        aria-label="Whom the table shows"
        data={[
          { value: 'team', label: 'Teams' },
          { value: 'business_service', label: 'Business services' },
        ]}
        value={business ? 'business_service' : 'team'}
        onChange={(view) => setAddress({ view: view === 'team' ? undefined : view })}
      />
      <div className={classes.frame}>
        <div className={classes.head} aria-hidden>
          <span>{business ? 'Business service' : 'Team'}</span>
          <span>Level</span>
          <span className="num">Identity</span>
          <span className="num">Contract</span>
          <span className="num">Logs / span</span>
          <span className="num">Drift</span>
          <span>What lifts it</span>
        </div>
        {rows.map((row) => (
          <SummaryRow key={row.name} row={row} card={card} business={business} />
        ))}
      </div>
    </section>
  );
}

function SummaryRow({ row, card, business }: { row: Summary; card: Card; business: boolean }) {
  const [address] = useAddress();
  const { name, components, level, atLevel, identityRatio, keptRatio, logsPerSpan, drift, lifts, withoutData } = row;
  const whom = business ? { business_service: name } : { team: name };
  return (
    <div className={classes.row} data-testid="score">
      <span>
        <Link to="/scorecard" search={{ ...timeWords(address), ...whom }} className={classes.name}>
          {name}
        </Link>
        <small className="dim">
          {components} {components === 1 ? 'component' : 'components'}
          {withoutData > 0 && `, ${withoutData} without enough data`}
        </small>
      </span>
      <Steps level={level} levels={card.levels} atLevel={atLevel} />
      <span className="num" data-name="Identity" title="Records that say where they run">
        {percent(identityRatio)}
      </span>
      <span className="num" data-name="Contract" title="Log records that keep their contract, as far as is known">
        {percent(keptRatio)}
      </span>
      <span className="num" data-name="Logs / span">
        {ratio(logsPerSpan)}
      </span>
      <span className="num" data-name="Drift" title="Differences between what is declared and what happens">
        {drift}
      </span>
      <span className={classes.what}>
        {lifts[0] ?? (level === undefined ? '' : 'Nothing is left to do')}
        {lifts.length > 1 && <small className="dim"> and {lifts.length - 1} more</small>}
      </span>
    </div>
  );
}

function Components({ card }: { card: Card }) {
  return (
    <section className={classes.table}>
      <h2>Its components, one by one</h2>
      <div className={classes.frame}>
        {[...card.components]
          .sort((a, b) => (a.level ?? 9) - (b.level ?? 9) || (a.path < b.path ? -1 : 1))
          .map((score) => (
            <ComponentRow key={score.path} score={score} card={card} />
          ))}
      </div>
    </section>
  );
}

/** Whoever doubts a figure asks again. */
function Questions({ questions }: { questions: Question[] }) {
  const [address] = useAddress();
  return (
    <details className={classes.questions}>
      <summary>How these figures were found</summary>
      <p className="dim">
        From the catalogue, from the drift on the{' '}
        <Link to="/map" search={timeWords(address)}>
          map
        </Link>
        , and by these questions. Each opens in its page.
      </p>
      <ul>
        {questions.map(({ asks, language, query }) => (
          <li key={query}>
            <Link to={language === 'sql' ? '/sql' : '/charts'} search={{ ...timeWords(address), q: query }}>
              {asks}
            </Link>
            <pre>{query}</pre>
          </li>
        ))}
      </ul>
    </details>
  );
}
