import { IconAlertOctagonFilled, IconClockExclamation, IconPlayerTrackNext } from '@tabler/icons-react';
import { memo } from 'react';
import { formatDuration } from '../../format/units';
import { inWindow, stripes, type Window } from './bars';
import { httpStatus } from './cause';
import { disagreement, type CriticalPath, type Disagreement } from './critical';
import classes from './Trace.module.css';
import { ownTime, type Node } from './tree';

const INDENT = 13;
/** Deeper spans are no longer moved to the right: their names would leave the column. */
const INDENTS_MAX = 16;
const EVENTS_MAX = 12;

/** What all rows have in common; keeps its identity while nothing of it changes, so that scrolling draws only new rows. */
export interface RowLook {
  view: Window;
  critical: CriticalPath | undefined;
  startNs: bigint;
  onSelect: (node: Node) => void;
  onFold: (node: Node) => void;
}

interface Props {
  node: Node;
  look: RowLook;
  color: string;
  top: number;
  selected: boolean;
  cursor: boolean;
  folded: boolean;
  /** Whether what is being looked for is in it; undefined while nothing is. */
  found: boolean | undefined;
}

/** One span: who and what at the left, when and how long at the right. As few elements as it takes: scrolling makes hundreds a second. */
export const SpanRow = memo(function SpanRow({ node, look, color, top, selected, cursor, folded, found }: Props) {
  const { span } = node;
  const failed = span.status === 'error';
  const status = httpStatus(span);
  const odd = disagreement(node);
  const indent = Math.min(node.depth, INDENTS_MAX) * INDENT;
  return (
    // The tree takes the keys; a click on a row is the pointer's way to the same.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events
    <div
      id={`span-${span.spanId}`}
      role="treeitem"
      tabIndex={-1}
      aria-selected={selected}
      aria-level={node.depth + 1}
      aria-expanded={node.children.length ? !folded : undefined}
      aria-label={labelOf(node, odd)}
      className={classes.row}
      style={{ top }}
      data-error={failed}
      data-cursor={cursor}
      data-found={found}
      data-testid="span"
      title={odd && disagreementWords(odd)}
      onClick={() => look.onSelect(node)}
    >
      {node.children.length > 0 && (
        <button
          type="button"
          tabIndex={-1}
          className={classes.fold}
          style={{ left: indent + 8 }}
          aria-label={folded ? `Unfold ${node.below} spans` : 'Fold'}
          onClick={(event) => {
            event.stopPropagation();
            look.onFold(node);
          }}
        />
      )}
      <span
        className={classes.text}
        style={{
          paddingLeft: indent + 39,
          backgroundImage: `linear-gradient(${color}, ${color})`,
          backgroundPositionX: indent + 29,
        }}
        title={`${span.service}: ${span.name}`}
      >
        <Marks node={node} odd={odd} hiddenError={folded && !failed && node.errorBelow} />
        {Number(status) >= 400 && (
          <span className={classes.status} title="The HTTP status">
            {status}
          </span>
        )}
        <b>{span.service}</b> {span.name}
        {node.orphan && <em title="The span's parent is not in the trace"> parent missing</em>}
        {folded && <em> +{node.below}</em>}
      </span>
      <Bar node={node} look={look} color={failed ? 'var(--bad-fill)' : color} />
    </div>
  );
});

function Marks({ node, odd, hiddenError }: { node: Node; odd: Disagreement | undefined; hiddenError: boolean }) {
  return (
    <>
      {(node.span.status === 'error' || hiddenError) && (
        <IconAlertOctagonFilled
          size={13}
          className={classes.errorMark}
          data-below={hiddenError}
          aria-label={hiddenError ? 'a folded span failed' : 'failed'}
        />
      )}
      {odd?.kind === 'clock' && <IconClockExclamation size={13} className={classes.clockMark} aria-hidden />}
      {odd?.kind === 'late' && <IconPlayerTrackNext size={12} className={classes.lateMark} aria-hidden />}
    </>
  );
}

function Bar({ node, look, color }: { node: Node; look: RowLook; color: string }) {
  const { view, critical } = look;
  const place = inWindow([node.start, node.end], view);
  if (!place) return null;
  const shown = { from: Math.max(node.start, view.from), to: Math.min(node.end, view.to) };
  const path = critical?.parts.get(node);
  const left = place.left * 100;
  const width = place.width * 100;
  const pale = `color-mix(in srgb, ${color} 42%, var(--surface))`;
  // From the top one down: the critical path below the bar, the span's own time, and all of its time.
  const layers = [
    path && stripes(path, shown.from, shown.to, 'var(--text)'),
    stripes(ownTime(node), shown.from, shown.to, color),
    `linear-gradient(${pale}, ${pale})`,
  ];
  // The text stands on whichever side of the bar has room for it.
  const side = left + width < 84 ? 'after' : left < 8 ? 'inside' : 'before';
  return (
    <span
      className={classes.bar}
      style={{ marginLeft: `${left}%`, width: `${width}%`, backgroundImage: layers.map((one) => one ?? 'none').join() }}
    >
      <Events node={node} look={look} shown={shown} />
      <span className={classes.took} data-side={side}>
        {formatDuration(node.end - node.start)}
      </span>
    </span>
  );
}

function Events({ node, look, shown }: { node: Node; look: RowLook; shown: Window }) {
  return node.span.events.slice(0, EVENTS_MAX).map((event, index) => {
    const at = Number(event.ns - look.startNs) / 1e6;
    const dot = inWindow([at, at], shown);
    return (
      dot && (
        <span
          key={index}
          className={classes.dot}
          data-error={event.name === 'exception'}
          style={{ left: `${dot.left * 100}%` }}
          title={event.name}
        />
      )
    );
  });
}

/** What a screen reader says of a row. */
function labelOf({ span, start, end, orphan }: Node, odd: Disagreement | undefined): string {
  return [
    `${span.service}: ${span.name}`,
    formatDuration(end - start),
    span.status === 'error' && 'failed',
    Number(httpStatus(span)) >= 400 && `HTTP status ${httpStatus(span)}`,
    orphan && 'its parent is missing',
    odd && disagreementWords(odd),
  ]
    .filter(Boolean)
    .join(', ');
}

export function disagreementWords({ kind, beforeMs, afterMs }: Disagreement): string {
  const before = beforeMs > 0 && `begins ${formatDuration(beforeMs)} before its parent`;
  const after = afterMs > 0 && `ends ${formatDuration(afterMs)} after its parent`;
  const said = [before, after].filter(Boolean).join(' and ');
  return kind === 'clock'
    ? `It ${said}: the clocks of the two differ at least by that. Times are shown as they were sent.`
    : `It ${said}, which did not wait for it.`;
}
