import { IconAlertTriangle, IconChevronDown, IconChevronUp } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { LabelCardinality } from '../../api/cardinality';
import { timeWords, useAddress } from '../../app/address';
import { formatCount, formatPercent } from '../../format/units';
import classes from './Cardinality.module.css';
import { ownerOf, queryOfLabel, stateOf } from './words';

type Column = 'owner' | 'label' | 'values' | 'replaced';

const COLUMNS: { column: Column; title: string }[] = [
  { column: 'owner', title: 'Owner' },
  { column: 'label', title: 'Label' },
  { column: 'values', title: 'Values against what is let in per hour' },
  { column: 'replaced', title: 'Series replaced' },
];
const SHOWN = 12;

const ORDER: Record<Column, (a: LabelCardinality, b: LabelCardinality) => number> = {
  owner: (a, b) => nameOf(b).localeCompare(nameOf(a)),
  label: (a, b) => b.label.localeCompare(a.label),
  values: (a, b) => a.values - b.values,
  replaced: (a, b) => a.replacedSeries - b.replacedSeries,
};

function nameOf(label: LabelCardinality): string {
  const { name, below } = ownerOf(label);
  return `${name} ${below}`;
}

/** Labels with a bar of how much of their limit they use; those that overflow come first, whatever the order. */
export function LabelTable({ labels }: { labels: LabelCardinality[] }) {
  const [sort, setSort] = useState<{ column: Column; up: boolean }>({ column: 'values', up: false });
  const [all, setAll] = useState(false);
  const sorted = [...labels].sort(
    (a, b) =>
      Number(b.overflows) - Number(a.overflows) || (sort.up ? 1 : -1) * ORDER[sort.column](a, b) || a.values - b.values,
  );
  const shown = all ? sorted : sorted.slice(0, SHOWN);
  return (
    <>
      <table className={classes.table}>
        <thead>
          <tr>
            {COLUMNS.map(({ column, title }) => (
              <th key={column} aria-sort={sort.column === column ? (sort.up ? 'ascending' : 'descending') : undefined}>
                <button type="button" onClick={() => setSort({ column, up: sort.column === column && !sort.up })}>
                  {title}
                  {sort.column === column && (sort.up ? <IconChevronUp size={12} /> : <IconChevronDown size={12} />)}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((label) => (
            <LabelRow key={`${nameOf(label)} ${label.label}`} label={label} />
          ))}
        </tbody>
      </table>
      {sorted.length > shown.length && (
        <button type="button" className={classes.more} onClick={() => setAll(true)}>
          Show {sorted.length - shown.length} more
        </button>
      )}
    </>
  );
}

function LabelRow({ label }: { label: LabelCardinality }) {
  const [address] = useAddress();
  const { name, below } = ownerOf(label);
  const state = stateOf(label);
  const share = label.valuesMax > 0 ? label.values / label.valuesMax : 0;
  return (
    <tr data-state={state} data-testid="label-row">
      <td>
        <b>{name}</b>
        {below && <small>{below}</small>}
      </td>
      <td>
        <Link to="/charts" search={{ ...timeWords(address), q: queryOfLabel(label), view: 'table' }} className="mono">
          {label.label}
        </Link>
      </td>
      <td>
        <div className={classes.measure}>
          <span className="num">{formatCount(label.values)}</span>
          <i className={classes.track} aria-hidden>
            <i style={{ width: `${Math.min(100, Math.max(share * 100, label.values > 0 ? 0.6 : 0))}%` }} />
          </i>
          <span className={classes.share}>
            {state === 'overflows' ? (
              <>
                <IconAlertTriangle size={13} aria-hidden /> overflows {formatCount(label.valuesMax)}
              </>
            ) : (
              `${formatPercent(share)} of ${formatCount(label.valuesMax)}`
            )}
          </span>
        </div>
      </td>
      <td className="num">
        {label.replacedSeries > 0 ? formatCount(label.replacedSeries) : <span className="dim">none</span>}
      </td>
    </tr>
  );
}
