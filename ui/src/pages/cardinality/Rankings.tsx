import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fetchTsdb, type Ranked, type Tsdb } from '../../api/cardinality';
import { timeWords, useAddress } from '../../app/address';
import { formatBytes, formatCount } from '../../format/units';
import { Answer } from '../../status/Answer';
import { useTime } from '../../time/useTime';
import classes from './Cardinality.module.css';
import { labelText, pairMatcher } from './words';

const RANKS = 20;

interface Ranking {
  title: string;
  what: string;
  entries: Ranked[] | undefined;
  format: (value: number) => string;
  /** The PromQL that shows more of an entry. */
  query: (name: string) => string | undefined;
}

function rankingsOf(tsdb: Tsdb): Ranking[] {
  return [
    {
      title: 'Metrics with the most series',
      what: 'A series is a metric with one combination of label values.',
      entries: tsdb.seriesByMetric,
      format: formatCount,
      query: (name) => (/^[A-Za-z_:][\w:]*$/.test(name) ? name : `{${JSON.stringify(name)}}`),
    },
    {
      title: 'Labels with the most values',
      what: 'All owners together.',
      entries: tsdb.valuesByLabel,
      format: formatCount,
      query: (name) => `topk(20, count by (${labelText(name)}) ({${labelText(name)}!=""}))`,
    },
    {
      title: 'Label values in the most series',
      what: 'What a large part of everything has in common.',
      entries: tsdb.seriesByPair,
      format: formatCount,
      query: (pair) => {
        const matcher = pairMatcher(pair);
        return matcher && `topk(20, count by (__name__) ({${matcher}}))`;
      },
    },
    {
      title: 'Labels that take the most memory',
      what: 'The text of all their values.',
      entries: tsdb.bytesByLabel,
      format: formatBytes,
      query: (name) => `topk(20, count by (${labelText(name)}) ({${labelText(name)}!=""}))`,
    },
  ];
}

/** What Prometheus's own status page would show: the largest of everything, each a way into the Metrics page. */
export function Rankings() {
  const { nowMs, manual } = useTime();
  const tsdb = useQuery({
    queryKey: ['tsdb', nowMs, manual],
    queryFn: ({ signal }) => fetchTsdb(RANKS, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <Answer query={tsdb} compact>
      {(found) => (
        <>
          {found.series !== undefined && (
            <p className={classes.totals}>
              Lately <b>{formatCount(found.series)}</b> series had values
              {found.labelPairs !== undefined && (
                <>
                  , with <b>{formatCount(found.labelPairs)}</b> different label values
                </>
              )}
              .
            </p>
          )}
          <div className={classes.rankings}>
            {rankingsOf(found)
              .filter(({ entries }) => entries?.length)
              .map((ranking) => (
                <RankingCard key={ranking.title} ranking={ranking} />
              ))}
          </div>
        </>
      )}
    </Answer>
  );
}

function RankingCard({ ranking: { title, what, entries = [], format, query } }: { ranking: Ranking }) {
  const [address] = useAddress();
  const most = Math.max(...entries.map(({ value }) => value), 1);
  return (
    <section className={classes.card} data-testid="ranking">
      <div className={classes.cardHead}>
        <div>
          <h2>{title}</h2>
          <p className="dim">{what}</p>
        </div>
      </div>
      <ol className={classes.ranking}>
        {entries.slice(0, RANKS).map(({ name, value }) => {
          const q = query(name);
          return (
            <li key={name}>
              <i style={{ width: `${(value / most) * 100}%` }} aria-hidden />
              {q ? (
                <Link to="/charts" search={{ ...timeWords(address), q }} className="mono ellipsis" title={name}>
                  {name}
                </Link>
              ) : (
                <span className="mono ellipsis">{name}</span>
              )}
              <span className="num">{format(value)}</span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
