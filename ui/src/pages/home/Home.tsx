import { keepPreviousData, useQuery } from '@tanstack/react-query';
import {
  IconAlertOctagon,
  IconAlertTriangle,
  IconCircleCheck,
  IconClockExclamation,
  IconMoonStars,
} from '@tabler/icons-react';
import { fetchOverview, type Overview } from '../../api/tyto';
import { formatCount } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { rangeLabel, rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { sortByTrouble, summarize, type State } from './health';
import classes from './Home.module.css';
import { ServiceRow } from './ServiceRow';

export default function Home() {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const query = useQuery({
    queryKey: ['overview', startMs, endMs, time.manual],
    queryFn: ({ signal }) => fetchOverview(Math.floor(startMs / 1000), Math.ceil(endMs / 1000), signal),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.page}>
      <Answer
        query={query}
        loading={<Loading lines={7} height={44} />}
        empty={(overview) => (overview.businessServices.length ? null : <Nothing />)}
      >
        {(overview) => <Services overview={overview} />}
      </Answer>
    </div>
  );
}

const ICONS: Record<State, typeof IconCircleCheck> = {
  failing: IconAlertOctagon,
  slow: IconClockExclamation,
  degraded: IconAlertTriangle,
  quiet: IconMoonStars,
  healthy: IconCircleCheck,
};

function Services({ overview }: { overview: Overview }) {
  const time = useTime();
  const { state, text } = summarize(overview);
  const Icon = ICONS[state];
  return (
    <>
      <header className={classes.summary} data-state={state}>
        <Icon size={26} stroke={1.7} aria-hidden />
        <div>
          <h1 data-testid="summary">{text}</h1>
          <p className="dim">{rangeLabel(time.text, time.nowMs)}, from the requests that the services answered.</p>
        </div>
      </header>
      <div className={classes.table} role="table" aria-label="Business services">
        <div className={classes.head} role="row">
          <span role="columnheader">Business service</span>
          <span role="columnheader">Requests</span>
          <span role="columnheader">Errors</span>
          <span role="columnheader">
            <abbr title="95 of 100 requests were at least this fast">p95</abbr> latency
          </span>
          <span role="columnheader" className={classes.lastHead}>
            Look into
          </span>
        </div>
        {sortByTrouble(overview.businessServices).map(({ service, health }) => (
          <ServiceRow key={service.name} service={service} health={health} icon={ICONS[health.state]} />
        ))}
      </div>
      <Unassigned {...overview.unassigned} />
    </>
  );
}

function Unassigned({ logs, spans, series }: Overview['unassigned']) {
  const parts = [
    logs > 0 && `${formatCount(logs)} log ${logs === 1 ? 'record' : 'records'}`,
    spans > 0 && `${formatCount(spans)} ${spans === 1 ? 'span' : 'spans'}`,
    series > 0 && `${formatCount(series)} series`,
  ].filter(Boolean);
  if (parts.length === 0) return null;
  return (
    <p className={classes.unassigned}>
      Nobody claims {parts.join(', ')} yet: a <code>match</code> rule in <code>omd.yaml</code> gives them an owner.
    </p>
  );
}

function Nothing() {
  const time = useTime();
  return (
    <Empty
      title="No business service sent anything in this time"
      hint={
        <>
          Asked for every span in {rangePhrase(time.text, time.nowMs)}. Send OpenTelemetry data to{' '}
          <code>http://&lt;this host&gt;:4318</code>, start <code>tyto demo</code> to see a simulated company, or widen
          the time range.
        </>
      }
    />
  );
}
