import { IconEqual, IconPencil, IconTrash } from '@tabler/icons-react';
import { memo } from 'react';
import type { TriedRecord } from '../../api/pipelines';
import { clock, day } from '../../format/time';
import { attributesOf, changes, shownValue, textDiff, type Change, type Piece } from './diff';
import classes from './Trial.module.css';
import { fateOf, fateWords, headOf, noteWords } from './words';

const ICONS = { changed: IconPencil, dropped: IconTrash, same: IconEqual };

/** One record before and after, what differs marked; not anew for each key that is typed in the draft. */
export const RecordCard = memo(function RecordCard({ record }: { record: TriedRecord }) {
  const { before, after } = record;
  const fate = fateOf(record);
  const Icon = ICONS[fate];
  const { owner, time } = headOf(before);
  const ms = Date.parse(time);
  const differs = after ? changes(before, after) : [];
  const pieces = textDiff(shownValue(before.body ?? ''), shownValue((after ?? before).body ?? ''));
  const isChanged = pieces.some(({ kind }) => kind !== 'same');
  const rest = Object.entries(attributesOf(before)).filter(([name]) => differs.every((change) => change.name !== name));
  return (
    <article className={classes.record} data-fate={fate} data-testid="tried-record">
      <p className={classes.fate}>
        <Icon size={15} aria-hidden />
        <strong>{fateWords(record)}</strong>
        <span className="dim">
          {Number.isNaN(ms) ? '' : `${day(ms)} ${clock(ms)}`} {owner}
        </span>
      </p>
      {isChanged ? (
        <>
          <Line label="Before" pieces={pieces.filter(({ kind }) => kind !== 'added')} />
          <Line label="After" pieces={pieces.filter(({ kind }) => kind !== 'removed')} />
        </>
      ) : (
        <Line label="" pieces={pieces} />
      )}
      {differs.length > 0 && <Changes changes={differs} />}
      {noteWords(record)
        .filter(({ what }) => what === 'failed')
        .map(({ says }) => (
          <p key={says} className={classes.failed}>
            {says}
          </p>
        ))}
      {rest.length > 0 && (
        <details className={classes.rest}>
          <summary>
            {rest.length} {differs.length > 0 ? 'more ' : ''}
            {rest.length === 1 ? 'attribute' : 'attributes'}
            {fate === 'dropped' ? '' : ', as they were'}
          </summary>
          <dl>
            {rest.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{shownValue(value)}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </article>
  );
});

function Line({ label, pieces }: { label: string; pieces: Piece[] }) {
  return (
    <div className={classes.line}>
      {label && <span className={classes.label}>{label}</span>}
      <p>
        {pieces.map(({ text, kind }, index) =>
          kind === 'same' ? (
            <span key={index}>{text}</span>
          ) : kind === 'removed' ? (
            <del key={index}>{text}</del>
          ) : (
            <ins key={index}>{text}</ins>
          ),
        )}
      </p>
    </div>
  );
}

const WORDS = { added: 'new', removed: 'gone', changed: 'changed' };

function Changes({ changes: all }: { changes: Change[] }) {
  return (
    <table className={classes.changes}>
      <thead className="visually-hidden">
        <tr>
          <th>Name</th>
          <th>What happened</th>
          <th>Before and after</th>
        </tr>
      </thead>
      <tbody>
        {all.map(({ name, kind, before, after }) => (
          <tr key={name}>
            <td>{name}</td>
            <td>{WORDS[kind]}</td>
            <td>
              {before && <del>{before}</del>} {after && <ins>{after}</ins>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
