import { keepPreviousData, useQuery } from '@tanstack/react-query';
import {
  IconAlertOctagon,
  IconAlertTriangle,
  IconCircleCheck,
  IconClockExclamation,
  IconMoonStars,
} from '@tabler/icons-react';
import { fetchOverview, type Overview } from '../../api/tyto';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { Verdict } from '../../status/Verdict';
import { rangeLabel, rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { sortByTrouble, summarize, type State } from './health';
import classes from './Home.module.css';
import { ServiceRow } from './ServiceRow';
import { unclaimedParts } from './unclaimed';
import { UnclaimedLine, UnclaimedPanel } from './UnclaimedPanel';

export default function Home() {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const query = useQuery({
    queryKey: ['overview', startMs, endMs, time.manual],
    queryFn: ({ signal }) => fetchOverview(Math.floor(startMs / 1000), Math.floor(endMs / 1000), signal),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.page}>
      <Answer query={query} loading={<Loading lines={7} height={44} />} empty={nothingClaimed}>
        {(overview) => <Services overview={overview} />}
      </Answer>
    </div>
  );
}

/** What shows instead of the services when there are none: data may well be there, only nobody's. */
function nothingClaimed({ businessServices, unassigned }: Overview) {
  if (businessServices.length) return null;
  return unclaimedParts(unassigned).length ? <UnclaimedPanel unassigned={unassigned} /> : <Nothing />;
}

const ICONS: Record<State, typeof IconCircleCheck> = {
  failing: IconAlertOctagon,
  slow: IconClockExclamation,
  degraded: IconAlertTriangle,
  quiet: IconMoonStars,
  healthy: IconCircleCheck,
};

const TONES = { failing: 'bad', slow: 'warn', degraded: 'warn', quiet: undefined, healthy: 'ok' } as const;

function Services({ overview }: { overview: Overview }) {
  const time = useTime();
  const { state, text } = summarize(overview);
  return (
    <>
      <Verdict icon={ICONS[state]} tone={TONES[state]} title={text} testId="summary">
        <p className="dim">{rangeLabel(time.text, time.nowMs)}, from the requests that the services answered.</p>
      </Verdict>
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
      <UnclaimedLine unassigned={overview.unassigned} />
    </>
  );
}

function Nothing() {
  const time = useTime();
  return (
    <Empty
      title="Nothing arrived in this time"
      hint={
        <>
          Asked for every log record, span and series in {rangePhrase(time.text, time.nowMs)}. Send OpenTelemetry data
          to <code>http://&lt;this host&gt;:4318</code>, start <code>tyto demo</code> to see a simulated company, or
          widen the time range.
        </>
      }
    />
  );
}
