import { useComputedColorScheme } from '@mantine/core';
import { IconAlertOctagonFilled, IconChevronDown, IconChevronRight } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useEffectEvent, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { formatDuration } from '../../format/units';
import { seriesColor } from '../../theme/palette';
import { Minimap, type Window } from './Minimap';
import classes from './Trace.module.css';
import { position, revealing, ticks, visibleNodes, type Node, type TraceTree } from './tree';

const ROW_HEIGHT = 26;
const INDENT = 13;

interface Props {
  tree: TraceTree;
  selected: string | undefined;
  onSelect: (spanId: string | undefined) => void;
}

export function Waterfall({ tree, selected, onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const dark = useComputedColorScheme('light') === 'dark';
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  // Where the arrow keys are. A span selected by other means takes the cursor along and is unfolded.
  const [keys, setKeys] = useState({ selected, cursor: selected });
  if (keys.selected !== selected) {
    const node = tree.nodes.get(selected ?? '');
    setKeys({ selected, cursor: selected ?? keys.cursor });
    if (node) setFolded(revealing(node, folded));
  }
  const [view, setView] = useState<Window>({ from: 0, to: 1 });
  const rows = useMemo(() => visibleNodes(tree, folded), [tree, folded]);
  const everything = useMemo(() => visibleNodes(tree, new Set()), [tree]);
  const colors = useMemo(
    () => new Map(tree.services.map((service, index) => [service, seriesColor(index, dark)])),
    [tree, dark],
  );
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 15,
  });

  const opened = useRef(false);
  const bringIntoSight = useEffectEvent(() => {
    const index = rows.findIndex(({ span }) => span.spanId === selected);
    if (index >= 0) virtual.scrollToIndex(index, { align: opened.current ? 'auto' : 'center' });
    opened.current = true;
  });
  useEffect(() => {
    if (selected) bringIntoSight();
  }, [selected]);

  const fold = (spanId: string, shut: boolean) => {
    const next = new Set(folded);
    if (shut) next.add(spanId);
    else next.delete(spanId);
    setFolded(next);
  };

  // A fold may have hidden the row that the keys were at.
  const cursor = rows.some(({ span }) => span.spanId === keys.cursor) ? keys.cursor : rows[0]?.span.spanId;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = rows.findIndex(({ span }) => span.spanId === cursor);
    const node = rows[at];
    if (!node) return;
    const { spanId } = node.span;
    const go = (index: number) => {
      const next = rows[Math.max(0, Math.min(rows.length - 1, index))];
      if (!next) return;
      setKeys({ ...keys, cursor: next.span.spanId });
      // An open detail follows; a closed one stays closed until Enter.
      if (selected) onSelect(next.span.spanId);
      virtual.scrollToIndex(rows.indexOf(next), { align: 'auto' });
    };
    if (event.key === 'ArrowDown') go(at + 1);
    else if (event.key === 'ArrowUp') go(at - 1);
    else if (event.key === 'Home') go(0);
    else if (event.key === 'End') go(rows.length - 1);
    else if (event.key === 'Enter' || event.key === ' ') onSelect(spanId === selected ? undefined : spanId);
    else if (event.key === 'ArrowLeft') {
      if (node.children.length && !folded.has(spanId)) fold(spanId, true);
      else if (node.parent) go(rows.indexOf(node.parent));
    } else if (event.key === 'ArrowRight') fold(spanId, false);
    else return;
    event.preventDefault();
  };

  const totalMs = Number(tree.endNs - tree.startNs) / 1e6;
  const marks = ticks(view.from * totalMs, view.to * totalMs, 6).map((ms) => ({
    ms,
    left: totalMs > 0 ? ((ms / totalMs - view.from) / (view.to - view.from)) * 100 : 0,
  }));

  return (
    <div className={classes.waterfall}>
      <Minimap tree={tree} nodes={everything} colors={colors} view={view} onView={setView} />
      <div className={classes.scale}>
        <div className={classes.services}>
          {tree.services.map((service) => (
            <span key={service}>
              <i style={{ background: colors.get(service) }} />
              {service}
            </span>
          ))}
        </div>
        <div className={classes.marks}>
          {marks
            .filter(({ left }) => left < 94)
            .map(({ ms, left }) => (
              <span key={ms} style={{ left: `${left}%` }}>
                {formatDuration(ms)}
              </span>
            ))}
        </div>
      </div>
      {/* Keys move through the rows as in any tree. The focus stays on the box: a focused row would take it along out of sight. */}
      <div
        ref={box}
        className={classes.scroll}
        tabIndex={0}
        role="tree"
        aria-label="Spans"
        aria-activedescendant={cursor ? `span-${cursor}` : undefined}
        onKeyDown={onKeyDown}
        data-testid="waterfall"
      >
        <div className={classes.space} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const node = rows[item.index];
            if (!node) return null;
            return (
              <Row
                key={node.span.spanId}
                node={node}
                tree={tree}
                view={view}
                color={colors.get(node.span.service) ?? 'var(--dim)'}
                top={item.start}
                selected={node.span.spanId === selected}
                cursor={node.span.spanId === cursor}
                folded={folded.has(node.span.spanId)}
                onSelect={() => {
                  box.current?.focus({ preventScroll: true });
                  setKeys({ ...keys, cursor: node.span.spanId });
                  onSelect(node.span.spanId === selected ? undefined : node.span.spanId);
                }}
                onFold={() => fold(node.span.spanId, !folded.has(node.span.spanId))}
                marks={marks.map(({ left }) => left)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  node: Node;
  tree: TraceTree;
  view: Window;
  color: string;
  top: number;
  selected: boolean;
  cursor: boolean;
  folded: boolean;
  onSelect: () => void;
  onFold: () => void;
  marks: number[];
}

function Row({ node, tree, view, color, top, selected, cursor, folded, onSelect, onFold, marks }: RowProps) {
  const { span } = node;
  const scale = (at: number) => ((at - view.from) / (view.to - view.from)) * 100;
  const left = scale(position(tree, span.startNs));
  const right = scale(position(tree, span.endNs));
  const width = Math.max(0, Math.min(100, right) - Math.max(0, left));
  const inSight = right >= 0 && left <= 100;
  const failed = span.status === 'error';
  const hiddenError = folded && !failed && node.errorBelow;
  const duration = formatDuration(Number(span.endNs - span.startNs) / 1e6);
  // The text stands on whichever side of the bar has room for it.
  const after = Math.max(0, left) + width < 84;
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
      className={classes.row}
      style={{ transform: `translateY(${top}px)` }}
      data-error={failed}
      data-cursor={cursor}
      data-testid="span"
      onClick={onSelect}
    >
      <div className={classes.name} style={{ paddingLeft: 8 + Math.min(node.depth, 30) * INDENT }}>
        {node.children.length ? (
          <button
            type="button"
            tabIndex={-1}
            className={classes.fold}
            aria-label={folded ? `Unfold ${node.below} spans` : 'Fold'}
            onClick={(event) => {
              event.stopPropagation();
              onFold();
            }}
          >
            {folded ? <IconChevronRight size={13} /> : <IconChevronDown size={13} />}
          </button>
        ) : (
          <span className={classes.fold} />
        )}
        <i style={{ background: color }} />
        {(failed || hiddenError) && (
          <IconAlertOctagonFilled
            size={13}
            className={classes.errorMark}
            data-below={hiddenError}
            aria-label={failed ? 'failed' : 'a folded span failed'}
          />
        )}
        <span className={classes.text} title={`${span.service}: ${span.name}`}>
          <b>{span.service}</b> {span.name}
          {node.orphan && <em title="The span's parent is not in the trace"> parent missing</em>}
          {folded && <em> +{node.below}</em>}
        </span>
      </div>
      <div className={classes.lane}>
        {marks.map((at) => (
          <span key={at} className={classes.gridline} style={{ left: `${at}%` }} />
        ))}
        {inSight && (
          <>
            <span
              className={classes.bar}
              style={{
                left: `${Math.max(0, left)}%`,
                width: `${width}%`,
                background: failed ? 'var(--bad-fill)' : color,
              }}
            />
            <span
              className={classes.took}
              data-before={!after}
              style={
                after
                  ? { left: `calc(${Math.max(0, left) + width}% + 6px)` }
                  : { right: `calc(${100 - Math.max(0, left)}% + 6px)`, display: left < 8 ? 'none' : undefined }
              }
            >
              {duration}
            </span>
            {!after && left < 8 && <span className={classes.tookInside}>{duration}</span>}
          </>
        )}
      </div>
    </div>
  );
}
