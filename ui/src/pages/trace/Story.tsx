import { IconAlertOctagonFilled, IconInfoCircle, IconRoute2 } from '@tabler/icons-react';
import { useMemo } from 'react';
import { formatCount, formatDuration, formatPercent } from '../../format/units';
import type { Cause } from './cause';
import { disagreement, pathGroups, type CriticalPath } from './critical';
import classes from './Story.module.css';
import type { Node, TraceTree } from './tree';

interface Props {
  tree: TraceTree;
  cause: Cause | undefined;
  critical: CriticalPath | undefined;
  partial: string | undefined;
  onSelect: (node: Node) => void;
}

const GROUPS_SHOWN = 3;

/** The trace in two sentences: where its failure began, and what its time went into; each leads to the span. */
export function Story({ tree, cause, critical, partial, onSelect }: Props) {
  const doubts = useMemo(() => doubtsOf(tree, partial), [tree, partial]);
  return (
    <div className={classes.story} data-testid="story">
      {cause && <Failure cause={cause} errors={tree.errorCount} onSelect={onSelect} />}
      {critical && <Path critical={critical} onSelect={onSelect} />}
      {doubts.length > 0 && (
        <p className={classes.doubts} data-testid="doubts">
          <IconInfoCircle size={15} aria-hidden />
          <span>{doubts.join(' ')}</span>
        </p>
      )}
    </div>
  );
}

function Failure({ cause, errors, onSelect }: { cause: Cause; errors: number; onSelect: (node: Node) => void }) {
  const { node, top, steps, places, message } = cause;
  return (
    <p className={classes.failure} data-testid="cause">
      <IconAlertOctagonFilled size={15} aria-hidden />
      <span>
        {errors === 1
          ? 'One span failed:'
          : `${formatCount(errors)} spans failed${
              places > 1 ? `, in ${formatCount(places)} places. What came furthest up began in` : '. It began in'
            }`}{' '}
        <button type="button" onClick={() => onSelect(node)}>
          <b>{node.span.service}</b> {node.span.name}
        </button>
        {message && (
          <>
            {' '}
            with <q>{message}</q>
          </>
        )}
        {steps > 1 && (
          <>
            {' '}
            and came up to <b>{top.span.service}</b>
            {top.parent ? '' : ', where the trace begins'}
          </>
        )}
        {steps === 1 && node.parent && ', and its caller did not fail'}.
      </span>
    </p>
  );
}

function Path({ critical, onSelect }: { critical: CriticalPath; onSelect: (node: Node) => void }) {
  const groups = useMemo(() => pathGroups(critical), [critical]);
  const total = critical.root.end - critical.root.start;
  if (!(total > 0)) return null;
  return (
    <p className={classes.path} data-testid="path">
      <IconRoute2 size={15} aria-hidden />
      <span>
        What its <b>{formatDuration(total)}</b> went into:{' '}
        {groups.slice(0, GROUPS_SHOWN).map(({ service, name, ms, count, node }, index) => (
          <span key={`${service}\n${name}`}>
            {index > 0 && ', '}
            <button type="button" onClick={() => onSelect(node)}>
              <b>{service}</b> {name}
            </button>{' '}
            <b>{formatDuration(ms)}</b> ({formatPercent(Number((ms / total).toFixed(2)))}
            {count > 1 && `, ${formatCount(count)} spans`})
          </span>
        ))}
        {groups.length > GROUPS_SHOWN && `, and ${groups.length - GROUPS_SHOWN} more`}.
      </span>
    </p>
  );
}

/** What the picture cannot be trusted in, each in a sentence. */
export function doubtsOf(tree: TraceTree, partial: string | undefined): string[] {
  const doubts: string[] = [];
  if (partial) doubts.push(`This is not the whole trace: ${partial}`);
  const orphans = tree.roots.filter(({ orphan }) => orphan).length;
  if (orphans)
    doubts.push(
      orphans === 1
        ? 'The parent of one span has not arrived; it stands at the top level.'
        : `The parents of ${formatCount(orphans)} spans have not arrived; they stand at the top level.`,
    );
  const clocks = tree.order.filter((node) => disagreement(node)?.kind === 'clock').length;
  if (clocks)
    doubts.push(
      clocks === 1
        ? 'One span lies outside of its parent: clocks differ. Times are shown as they were sent.'
        : `${formatCount(clocks)} spans lie outside of their parents: clocks differ. Times are shown as they were sent.`,
    );
  const dropped = tree.order.reduce((sum, { span }) => sum + span.dropped, 0);
  if (dropped) doubts.push(`Senders left out ${formatCount(dropped)} attributes, events or links.`);
  return doubts;
}
