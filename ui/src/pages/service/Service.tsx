import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link as PageLink, useNavigate, useParams } from '@tanstack/react-router';
import { useEffect } from 'react';
import { queryLogs } from '../../api/loki';
import { queryRange } from '../../api/prometheus';
import type { Entity, TopologyMap } from '../../api/topology';
import { timeWords, useAddress } from '../../app/address';
import { alignSeries } from '../../charts/align';
import { TimeChart } from '../../charts/TimeChart';
import { clock, day, nsToMs } from '../../format/time';
import { formatUnit, type Unit } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { token } from '../../theme/palette';
import { alignRange, niceStep, rangePhrase, toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { ERRORS } from '../logs/selector';
import { OperationList } from '../map/EdgePanel';
import { foldMap } from '../map/fold';
import { errorRatio, KIND_WORDS, percentWords, rateWords, secondsWords, stateOf, WORDS } from '../map/health';
import { entityAt, leadsOf, pathOf, selectorOf } from '../map/links';
import { LinkTable } from '../map/LinkTable';
import { useDrift, useMap } from '../map/useMap';
import { deploysOf, fetchTopOperations, fetchVersions, redOf } from './queries';
import { messageOf } from '../logs/line';
import classes from './Service.module.css';

export default function Service() {
  const { name } = useParams({ from: '/service/$name' });
  const [address] = useAddress();
  const map = useMap(undefined);
  useEffect(() => {
    document.title = `${name.slice(name.lastIndexOf('/') + 1)} · Tyto`;
  }, [name]);
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Answer query={map}>
          {(found) => {
            const entity = entityAt(found.entities, name, address.kind);
            return entity ? <Known key={entity.id} entity={entity} map={found} /> : <Unknown name={name} />;
          }}
        </Answer>
      </div>
    </div>
  );
}

function Unknown({ name }: { name: string }) {
  const [address] = useAddress();
  return (
    <Empty
      title={`Nobody knows ${name}`}
      hint="It is not declared, and nobody saw it in the 30 days before the end of the range. The map shows all names."
    >
      <PageLink to="/map" search={timeWords(address)}>
        Open the map
      </PageLink>
    </Empty>
  );
}

/** Kinds of which the catalogue tells more. */
const IN_CATALOGUE = new Set<string>(['business_service', 'service', 'component']);

function Known({ entity, map }: { entity: Entity; map: TopologyMap }) {
  const [address] = useAddress();
  const time = timeWords(address);
  const state = stateOf(entity, map.end - map.start);
  const leads = leadsOf(entity);
  return (
    <>
      <header className={classes.head}>
        <div>
          <h1>{entity.name}</h1>
          <p>
            <span className={classes.state} data-state={state}>
              {WORDS[state]}
            </span>
            <span className="dim">
              {KIND_WORDS[entity.kind]}
              {entity.businessService && entity.kind !== 'business_service' && ` of ${entity.businessService}`}
              {entity.kind === 'component' && entity.service && ` / ${entity.service}`}
            </span>
          </p>
        </div>
        <nav aria-label="Look into">
          {entity.declared && IN_CATALOGUE.has(entity.kind) && (
            <PageLink to="/catalogue/$path" params={{ path: pathOf(entity) }} search={time}>
              Who owns it
            </PageLink>
          )}
          <PageLink to="/map" search={{ ...time, node: entity.id, focus: entity.id, reach: 'near' }}>
            On the map
          </PageLink>
          {leads.logs && (
            <>
              <PageLink to="/traces" search={{ ...time, ...leads.traces(false) }}>
                Traces
              </PageLink>
              <PageLink to="/logs" search={{ ...time, q: leads.logs }}>
                Logs
              </PageLink>
            </>
          )}
          <PageLink to="/charts" search={{ ...time, ...leads.metrics }}>
            Metrics
          </PageLink>
        </nav>
      </header>
      <RedCharts entity={entity} />
      <Dependencies entity={entity} map={map} />
      {leads.logs ? (
        <div className={classes.columns}>
          <Operations entity={entity} />
          <Deploys entity={entity} />
          <ErrorLogs entity={entity} />
        </div>
      ) : (
        <p className="dim">It sends no spans and no logs itself: these numbers are what its callers saw.</p>
      )}
    </>
  );
}

const HEIGHT = 150;

function RedCharts({ entity }: { entity: Entity }) {
  const time = useTime();
  const step = Math.max(60, niceStep(time.range, 120));
  const red = redOf(entity, step);
  return (
    <div className={classes.charts}>
      <Chart
        title="Requests"
        now={rateWords(entity.rate)}
        query={red.rate}
        step={step}
        unit="per_second"
        color="--accent"
      />
      <Chart
        title="Failed requests"
        now={entity.rate > 0 ? percentWords(errorRatio(entity)) : '–'}
        query={red.failed}
        step={step}
        unit="per_second"
        color="--bad-fill"
      />
      <Chart
        title="Duration, 95 of 100 are faster"
        now={secondsWords(entity.p95Seconds)}
        query={red.p95}
        step={step}
        unit="seconds"
        color="--warn-fill"
      />
    </div>
  );
}

interface ChartProps {
  title: string;
  now: string;
  query: string;
  step: number;
  unit: Unit;
  color: string;
}

function Chart({ title, now, query, step, unit, color }: ChartProps) {
  const time = useTime();
  const [address] = useAddress();
  const { start, end } = alignRange(time.range, step);
  const answer = useQuery({
    queryKey: ['service', query, start, end, step, time.manual],
    queryFn: ({ signal }) => queryRange(query, start, end, step, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <section className={classes.card} aria-label={title}>
      <h2>
        <PageLink to="/charts" search={{ ...timeWords(address), q: query }}>
          {title}
        </PageLink>
        <b>{now}</b>
      </h2>
      <Answer query={answer} compact loading={<Loading lines={5} height={16} />}>
        {({ series }) => {
          if (series.length === 0) return <p className={classes.none}>None in {rangePhrase(time.text, time.nowMs)}.</p>;
          const { times, values } = alignSeries(series.slice(0, 1), start, end, step);
          const lines = values.map((row) => ({ label: title, values: row, color: token(color) }));
          return (
            <TimeChart
              times={times}
              lines={lines}
              kind="line"
              log={false}
              range={time.range}
              height={HEIGHT}
              format={(value) => formatUnit(value, unit)}
              onZoom={time.zoom}
              label={`${title} over time`}
              syncKey="service"
            />
          );
        }}
      </Answer>
    </section>
  );
}

/** Both ways, between this and whatever is not a part of it; others are named as finely as this is. */
function Dependencies({ entity, map }: { entity: Entity; map: TopologyMap }) {
  const [address] = useAddress();
  const drift = useDrift(undefined);
  const navigate = useNavigate();
  const business = entity.kind === 'business_service';
  const graph = foldMap(map, {
    open: ({ kind }) => (kind === 'business_service' ? !business : kind === 'service' && entity.kind !== 'service'),
    undeclared: drift.data?.undeclared ?? new Set(),
  });
  const seconds = map.end - map.start;
  const calls = graph.links.filter(({ from, to }) => from === entity.id && to !== entity.id);
  const callers = graph.links.filter(({ from, to }) => to === entity.id && from !== entity.id);
  const open = (edge: string) => {
    const level = business ? 'business_service' : entity.kind === 'service' ? 'service' : 'component';
    void navigate({ to: '/map', search: { ...timeWords(address), level, edge, focus: entity.id, reach: 'near' } });
  };
  return (
    <div className={classes.both}>
      <section>
        <h2>Called by</h2>
        {callers.length ? (
          <LinkTable graph={graph} links={callers} seconds={seconds} hide="to" onSelect={open} />
        ) : (
          <p className={classes.none}>Nobody, as far as spans and the catalogue tell.</p>
        )}
      </section>
      <section>
        <h2>Calls</h2>
        {calls.length ? (
          <LinkTable graph={graph} links={calls} seconds={seconds} hide="from" onSelect={open} />
        ) : (
          <p className={classes.none}>Nobody, as far as spans and the catalogue tell.</p>
        )}
      </section>
    </div>
  );
}

function Operations({ entity }: { entity: Entity }) {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const answer = useQuery({
    queryKey: ['service-operations', entity.id, startMs, endMs, time.manual],
    queryFn: ({ signal }) => fetchTopOperations(entity, startMs, endMs, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <section className={classes.card} data-testid="operations">
      <h2>What is asked of it most</h2>
      <Answer
        query={answer}
        compact
        loading={<Loading lines={4} height={18} />}
        empty={(found) =>
          found.length ? null : (
            <p className={classes.none}>Span metrics have nothing of this time: they count spans as they arrive.</p>
          )
        }
      >
        {(found) => <OperationList operations={found} />}
      </Answer>
    </section>
  );
}

function Deploys({ entity }: { entity: Entity }) {
  const time = useTime();
  const [startNs, endNs] = [toNs(time.range.startMs), toNs(time.range.endMs)];
  const answer = useQuery({
    queryKey: ['service-versions', entity.id, startNs, endNs, time.manual],
    queryFn: ({ signal }) => fetchVersions(entity, startNs, endNs, signal),
    placeholderData: keepPreviousData,
  });
  const phrase = rangePhrase(time.text, time.nowMs);
  return (
    <section className={classes.card} data-testid="deploys">
      <h2>Deployed</h2>
      <Answer
        query={answer}
        compact
        loading={<Loading lines={3} height={18} />}
        empty={(found) =>
          found.length ? null : (
            <p className={classes.none}>
              Unknown: no span of {phrase} names its <code>service.version</code>.
            </p>
          )
        }
      >
        {(versions) => {
          const deploys = deploysOf(versions);
          if (deploys.length === 0)
            return (
              <p className={classes.none}>
                Nothing in {phrase}: it ran{' '}
                {[...new Set(versions.map(({ component, version }) => `${component} ${version}`))].join(', ')} all the
                time.
              </p>
            );
          return (
            <ul className={classes.list}>
              {deploys.map((each) => (
                <li key={`${each.component} ${each.version} ${each.environment}`}>
                  <time>
                    {day(each.firstMs)} {clock(each.firstMs).slice(0, 5)}
                  </time>
                  <span>
                    {each.component} {each.before} → <b>{each.version}</b>
                    {each.environment && <small> {each.environment}</small>}
                  </span>
                </li>
              ))}
            </ul>
          );
        }}
      </Answer>
    </section>
  );
}

const LINES_MAX = 8;

function ErrorLogs({ entity }: { entity: Entity }) {
  const time = useTime();
  const [address] = useAddress();
  const query = `${selectorOf(entity)} ${ERRORS}`;
  const range = { startNs: toNs(time.range.startMs), endNs: toNs(time.range.endMs) };
  const answer = useQuery({
    queryKey: ['service-logs', query, range, time.manual],
    queryFn: ({ signal }) => queryLogs(query, range, LINES_MAX, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <section className={classes.card} data-wide data-testid="service-logs">
      <h2>
        <PageLink to="/logs" search={{ ...timeWords(address), q: query }}>
          Latest errors in its logs
        </PageLink>
      </h2>
      <Answer
        query={answer}
        compact
        loading={<Loading lines={4} height={16} />}
        empty={(rows) =>
          rows.length ? null : <p className={classes.none}>None in {rangePhrase(time.text, time.nowMs)}.</p>
        }
      >
        {(rows) => (
          <ul className={classes.list}>
            {rows.map((row, index) => (
              <li key={`${row.ns} ${index}`}>
                <time>{clock(nsToMs(row.ns))}</time>
                <span className="mono ellipsis" title={row.line}>
                  {messageOf(row.line).text} <span className="dim">{messageOf(row.line).rest}</span>
                </span>
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </section>
  );
}
