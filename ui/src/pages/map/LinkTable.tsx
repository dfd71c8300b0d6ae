import { IconAlertOctagon, IconAlertTriangle } from '@tabler/icons-react';
import type { Graph, Link } from './fold';
import { byTrouble, errorRatio, KIND_WORDS, percentWords, rateWords, secondsWords, stateOf, WORDS } from './health';
import classes from './LinkTable.module.css';

interface Props {
  graph: Graph;
  links: Link[];
  seconds: number;
  selected?: string;
  /** Leaves out the end that all lines have in common. */
  hide?: 'from' | 'to';
  onSelect: (link: string) => void;
}

const DRIFT_WORDS = { undeclared: 'Not declared', unseen: 'Declared, never seen' };

/** Who calls whom in words: what the picture says, for eyes that cannot see it and screens that cannot show it. */
export function LinkTable({ graph, links, seconds, selected, hide, onSelect }: Props) {
  return (
    <div className={classes.table} role="table" aria-label="Connections" data-testid="edge-table" data-hide={hide}>
      <div className={classes.head} role="row">
        {hide !== 'from' && <span role="columnheader">Caller</span>}
        {hide !== 'to' && <span role="columnheader">Calls</span>}
        <span role="columnheader">State</span>
        <span role="columnheader" className="num">
          Rate
        </span>
        <span role="columnheader" className="num">
          Fail
        </span>
        <span role="columnheader" className="num">
          <abbr title="95 of 100 calls were at least this fast, as the caller saw them">p95</abbr>
        </span>
      </div>
      {byTrouble(links, seconds).map((link) => {
        const state = stateOf(link, seconds);
        return (
          <div
            key={link.id}
            className={classes.row}
            role="row"
            data-state={state}
            data-selected={selected === link.id}
            data-testid="edge-row"
          >
            {hide !== 'from' && <End graph={graph} id={link.from} onClick={() => onSelect(link.id)} />}
            {hide !== 'to' && (
              <End graph={graph} id={link.to} onClick={hide === 'from' ? () => onSelect(link.id) : undefined} />
            )}
            <span role="cell" className={classes.state}>
              {state === 'failing' && <IconAlertOctagon size={14} aria-hidden />}
              {state === 'degraded' && <IconAlertTriangle size={14} aria-hidden />}
              {link.drift ? DRIFT_WORDS[link.drift] : WORDS[state]}
              {link.drift === 'undeclared' && (state === 'failing' || state === 'degraded') && `, ${WORDS[state]}`}
            </span>
            <span role="cell" className="num" data-name="Rate">
              {rateWords(link.rate)}
            </span>
            <span role="cell" className="num" data-name="Fail">
              {link.rate > 0 ? percentWords(errorRatio(link)) : '–'}
            </span>
            <span role="cell" className="num" data-name="p95">
              {secondsWords(link.p95Seconds)}
            </span>
          </div>
        );
      })}
    </div>
  );
}

function End({ graph, id, onClick }: { graph: Graph; id: string; onClick: (() => void) | undefined }) {
  const entity = graph.nodes.get(id)?.entity;
  const name = entity?.name ?? id;
  const kind = entity && entity.kind !== 'component' ? <small>{KIND_WORDS[entity.kind]}</small> : null;
  return (
    <span role="cell" className={classes.end} title={name}>
      {onClick ? (
        <button type="button" className="plain-button" onClick={onClick}>
          {name}
        </button>
      ) : (
        <span>{name}</span>
      )}
      {kind}
    </span>
  );
}
