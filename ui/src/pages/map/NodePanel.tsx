import { Button, SegmentedControl } from '@mantine/core';
import { Link as PageLink } from '@tanstack/react-router';
import { timeWords, useAddress } from '../../app/address';
import { inputText } from '../../time/range';
import { Fact } from './EdgePanel';
import type { Graph, Node, Reach } from './fold';
import { errorRatio, KIND_WORDS, percentWords, rateWords, secondsWords, stateOf, WORDS } from './health';
import { LinkTable } from './LinkTable';
import { leadsOf } from './links';
import classes from './Panel.module.css';

interface Props {
  node: Node;
  graph: Graph;
  seconds: number;
  /** Set while the map shows only what is around this node. */
  reach: Reach | undefined;
  onEdge: (id: string) => void;
  onFold: (id: string) => void;
  onReach: (reach: Reach | undefined) => void;
}

export function NodePanel({ node, graph, seconds, reach, onEdge, onFold, onReach }: Props) {
  const [address] = useAddress();
  const time = timeWords(address);
  const { entity, children, folded } = node;
  const user = entity.kind === 'user';
  const state = stateOf(entity, seconds);
  const leads = leadsOf(entity);
  const own = idsWithin(node);
  const calls = graph.links.filter(({ from, to }) => own.has(from) && !own.has(to));
  const callers = graph.links.filter(({ from, to }) => own.has(to) && !own.has(from));
  return (
    <>
      <h2>{entity.name}</h2>
      <p className={classes.sub}>
        {!user && (
          <span className={classes.state} data-state={state}>
            {WORDS[state]}
          </span>
        )}
        <span className="dim">
          {KIND_WORDS[entity.kind]}
          {entity.kind !== 'business_service' && entity.businessService && ` of ${place(entity)}`}
        </span>
      </p>
      {!user && (
        <dl className={classes.facts}>
          <Fact name="Rate" value={rateWords(entity.rate)} />
          <Fact name="Fail" value={entity.rate > 0 ? percentWords(errorRatio(entity)) : '–'} state={state} />
          <Fact name="p95" value={secondsWords(entity.p95Seconds)} />
          <Fact name="Declared" value={entity.declared ? 'yes' : 'no'} />
        </dl>
      )}
      <div className={classes.around}>
        <SegmentedControl
          aria-label="How much of the map is drawn"
          data={[
            { value: 'all', label: 'All' },
            { value: 'near', label: 'Neighbours' },
            { value: 'up', label: 'Upstream' },
            { value: 'down', label: 'Downstream' },
          ]}
          value={reach ?? 'all'}
          onChange={(value) => onReach(value === 'all' ? undefined : (value as Reach))}
        />
        {(folded > 0 || children.length > 0) && (
          <Button variant="default" onClick={() => onFold(entity.id)}>
            {folded > 0 ? `Unfold its ${folded} ${folded === 1 ? 'part' : 'parts'}` : 'Fold it'}
          </Button>
        )}
      </div>
      <nav className={classes.leads} aria-label="Look into">
        {leads.service && (
          <PageLink to="/service/$name" params={{ name: leads.service }} search={{ ...time, kind: entity.kind }}>
            {entity.name} in full
          </PageLink>
        )}
        {leads.logs && (
          <>
            <PageLink to="/traces" search={{ ...time, ...leads.traces(entity.errorRate > 0) }}>
              Traces
            </PageLink>
            <PageLink to="/logs" search={{ ...time, q: leads.logs }}>
              Logs
            </PageLink>
            <PageLink to="/charts" search={{ ...time, ...leads.metrics }}>
              Metrics
            </PageLink>
          </>
        )}
      </nav>
      {calls.length > 0 && (
        <section className={classes.part}>
          <h3>Calls</h3>
          <LinkTable graph={graph} links={calls} seconds={seconds} hide="from" onSelect={onEdge} />
        </section>
      )}
      {callers.length > 0 && (
        <section className={classes.part}>
          <h3>Called by</h3>
          <LinkTable graph={graph} links={callers} seconds={seconds} hide="to" onSelect={onEdge} />
        </section>
      )}
      {calls.length + callers.length === 0 && (
        <p className={classes.note}>Nothing that shows calls it, and it calls nothing.</p>
      )}
      {entity.lastSeen !== undefined && (
        <p className={classes.note}>Last seen {inputText(entity.lastSeen * 1000).slice(0, 16)}.</p>
      )}
    </>
  );
}

function place({ businessService, service, kind }: Node['entity']): string {
  return kind === 'component' && service ? `${businessService} / ${service}` : (businessService ?? '');
}

export function idsWithin(node: Node): Set<string> {
  const ids = new Set<string>();
  const gather = ({ entity, children }: Node) => {
    ids.add(entity.id);
    children.forEach(gather);
  };
  gather(node);
  return ids;
}
