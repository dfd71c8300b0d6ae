import { IconAlertOctagon, IconArrowRight } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link as PageLink } from '@tanstack/react-router';
import type { Entity } from '../../api/topology';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { formatCount } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Loading } from '../../status/Loading';
import { inputText, toNs } from '../../time/range';
import { fetchCalls, fetchOperations, spansBetween, type Call, type Operation } from './calls';
import type { Graph, Link } from './fold';
import { errorRatio, KIND_WORDS, percentWords, rateWords, secondsWords, stateOf, WORDS } from './health';
import { leadsOf } from './links';
import classes from './Panel.module.css';

interface Props {
  link: Link;
  graph: Graph;
  startMs: number;
  endMs: number;
  onNode: (id: string) => void;
}

/** What one asks of another: how much, how well, which of it fails, and calls to look into. */
export function EdgePanel({ link, graph, startMs, endMs, onNode }: Props) {
  const [from, to] = [graph.nodes.get(link.from)?.entity, graph.nodes.get(link.to)?.entity];
  if (!from || !to) return null;
  const seconds = (endMs - startMs) / 1000;
  const state = stateOf(link, seconds);
  return (
    <>
      <h2 className={classes.ends}>
        <button type="button" className="plain-button" onClick={() => onNode(from.id)}>
          {from.name}
        </button>
        <IconArrowRight size={16} aria-label="calls" />
        <button type="button" className="plain-button" onClick={() => onNode(to.id)}>
          {to.name}
        </button>
      </h2>
      <p className={classes.sub}>
        <span className={classes.state} data-state={state}>
          {WORDS[state]}
        </span>
        <span className="dim">
          {KIND_WORDS[from.kind]} to {KIND_WORDS[to.kind]}
        </span>
      </p>
      <DriftNote link={link} from={from} />
      <dl className={classes.facts}>
        <Fact name="Rate" value={rateWords(link.rate)} />
        <Fact name="Fail" value={link.rate > 0 ? percentWords(errorRatio(link)) : '–'} state={state} />
        <Fact name="p50" value={secondsWords(link.p50Seconds)} />
        <Fact name="p95" value={secondsWords(link.p95Seconds)} />
      </dl>
      {link.parts.length > 1 && link.rate > 0 && (
        <p className={classes.note}>
          Of {link.parts.length} connections between their parts; p50 and p95 are the slowest one’s.
        </p>
      )}
      {link.rate > 0 ? (
        <Calls from={from} to={to} failed={link.errorRate > 0} startMs={startMs} endMs={endMs} />
      ) : (
        <p className={classes.note}>
          {link.lastSeen === undefined
            ? 'It is declared in the catalogue. Nobody has seen it in the last 30 days.'
            : 'Nothing in the time that is shown.'}
        </p>
      )}
      <Seen link={link} />
      <Leads from={from} to={to} failed={link.errorRate > 0} />
    </>
  );
}

function DriftNote({ link, from }: { link: Link; from: Entity }) {
  if (link.drift === 'undeclared')
    return (
      <p className={classes.drift}>
        The catalogue does not know of it: {from.name} declares what it depends on, and this is not among it.
      </p>
    );
  if (link.drift === 'unseen') return <p className={classes.drift}>Declared as a dependency, and not seen.</p>;
  return null;
}

export function Fact({ name, value, state }: { name: string; value: string; state?: string }) {
  return (
    <div data-state={state}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Seen({ link }: { link: Link }) {
  if (link.firstSeen === undefined || link.lastSeen === undefined) return null;
  return (
    <p className={classes.note}>
      First seen {inputText(link.firstSeen * 1000).slice(0, 16)}, last {inputText(link.lastSeen * 1000).slice(0, 16)}.
    </p>
  );
}

interface CallsProps {
  from: Entity;
  to: Entity;
  failed: boolean;
  startMs: number;
  endMs: number;
}

function Calls({ from, to, failed, startMs, endMs }: CallsProps) {
  const spans = spansBetween(from, to, toNs(startMs), toNs(endMs));
  const operations = useQuery({
    queryKey: ['map-operations', spans],
    queryFn: ({ signal }) => fetchOperations(spans, signal),
  });
  const calls = useQuery({
    queryKey: ['map-calls', spans, failed],
    queryFn: ({ signal }) => fetchCalls(spans, failed, signal),
  });
  return (
    <>
      <section className={classes.part}>
        <h3>{failed ? 'Latest calls that failed' : 'Slowest calls'}</h3>
        <Answer
          query={calls}
          compact
          loading={<Loading lines={4} height={18} />}
          empty={(found) => (found.length ? null : <NoSpans />)}
        >
          {(found) => <CallList calls={found} />}
        </Answer>
      </section>
      <section className={classes.part}>
        <h3>What is asked</h3>
        <Answer
          query={operations}
          compact
          loading={<Loading lines={3} height={18} />}
          empty={(found) => (found.length ? null : <NoSpans />)}
        >
          {(found) => <OperationList operations={found} />}
        </Answer>
      </section>
    </>
  );
}

function NoSpans() {
  return <p className={classes.note}>The spans of it are not in the store any more, or were never kept.</p>;
}

function CallList({ calls }: { calls: Call[] }) {
  const [address] = useAddress();
  return (
    <ul className={classes.calls}>
      {calls.map((call) => (
        <li key={`${call.traceId} ${call.spanId}`}>
          <PageLink
            to="/trace/$traceId"
            params={{ traceId: call.traceId }}
            search={{ ...timeWords(address), span: call.spanId }}
            preload={false}
            data-testid="example"
            data-failed={call.failed}
          >
            <span className={classes.callName}>
              {call.failed && <IconAlertOctagon size={14} aria-label="failed" />}
              <span className="ellipsis">{call.name}</span>
            </span>
            {call.outcome && (
              <span className={classes.outcome} title={call.outcome}>
                {call.outcome}
              </span>
            )}
            <span className={classes.when}>
              {day(call.atMs)} {clock(call.atMs)} · {secondsWords(call.seconds)}
            </span>
          </PageLink>
        </li>
      ))}
    </ul>
  );
}

export function OperationList({ operations }: { operations: Operation[] }) {
  return (
    <table className={classes.operations}>
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col">Calls</th>
          <th scope="col">Failed</th>
          <th scope="col">p95</th>
        </tr>
      </thead>
      <tbody>
        {operations.map((each) => (
          <tr key={each.name} data-failed={each.failed > 0}>
            <td title={each.name}>{each.name}</td>
            <td className="num">{formatCount(each.calls)}</td>
            <td className="num">{formatCount(each.failed)}</td>
            <td className="num">{secondsWords(each.p95Seconds)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Leads({ from, to, failed }: { from: Entity; to: Entity; failed: boolean }) {
  const [address] = useAddress();
  const time = timeWords(address);
  // What sends spans itself tells more than what only is called.
  const teller = from.kind === 'user' || from.kind === 'queue' ? to : from;
  const leads = leadsOf(teller);
  return (
    <nav className={classes.leads} aria-label="Look into">
      <PageLink to="/traces" search={{ ...time, ...leads.traces(failed) }}>
        {failed ? 'Failed traces' : 'Traces'} of {teller.name}
      </PageLink>
      {leads.logs && (
        <PageLink to="/logs" search={{ ...time, q: leads.logs }}>
          Its logs
        </PageLink>
      )}
      <PageLink to="/charts" search={{ ...time, ...leads.metrics }}>
        Its metrics
      </PageLink>
    </nav>
  );
}
