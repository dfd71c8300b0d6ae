import type { Drift } from '../../api/topology';
import classes from './Panel.module.css';

interface Props {
  drift: Drift;
  onPair: (from: string, to: string) => void;
  onNode: (id: string) => void;
}

/** The name inside of an id: `checkout-api` of `component:payments/checkout/checkout-api`. */
export function nameOf(id: string): string {
  const place = id.slice(id.indexOf(':') + 1);
  return /^(component|service):/.test(id) ? place.slice(place.lastIndexOf('/') + 1) : place;
}

export function driftCount(drift: Drift): number {
  return (
    drift.calledNotDeclared.length +
    drift.declaredNeverSeen.length +
    drift.unknownCallers.length +
    drift.wrongOwner.length
  );
}

/** Where what is declared and what is seen differ. */
export function DriftPanel({ drift, onPair, onNode }: Props) {
  const pairs = (list: { from: string; to: string }[]) =>
    list.map(({ from, to }) => ({ text: `${nameOf(from)} → ${nameOf(to)}`, act: () => onPair(from, to) }));
  return (
    <>
      <h2>Drift</h2>
      <p className={classes.note}>Where the catalogue and what was seen in this time differ.</p>
      <List title="Called, not declared" rows={pairs(drift.calledNotDeclared)} />
      <List title="Callers that nobody declared" rows={pairs(drift.unknownCallers)} />
      <List
        title="Declared, never seen"
        rows={drift.declaredNeverSeen.map(({ from, to }) =>
          to === undefined
            ? { text: `nothing came from ${nameOf(from)}`, act: () => onNode(from) }
            : { text: `${nameOf(from)} → ${nameOf(to)}`, act: () => onPair(from, to) },
        )}
      />
      <List
        title="Wrong owner"
        rows={drift.wrongOwner.map(({ entity, what, seen, declared }) => ({
          text: `${nameOf(entity)}: ${what} ${seen}, declared ${declared.join(' or ')}`,
          act: () => onNode(entity),
        }))}
      />
      {driftCount(drift) === 0 && <p className={classes.note}>They agree.</p>}
      {drift.componentsWithoutDependencies > 0 && (
        <p className={classes.note}>
          {drift.componentsWithoutDependencies} components do not declare what they depend on: their calls are compared
          with nothing. <code>tyto topology drift</code> says the same in CI.
        </p>
      )}
    </>
  );
}

function List({ title, rows }: { title: string; rows: { text: string; act: () => void }[] }) {
  if (rows.length === 0) return null;
  return (
    <section className={classes.part}>
      <h3>{title}</h3>
      <ul className={classes.drifts}>
        {rows.map(({ text, act }) => (
          <li key={text}>
            <button type="button" className="plain-button" onClick={act}>
              {text}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
