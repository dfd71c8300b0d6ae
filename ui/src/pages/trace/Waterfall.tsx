import {
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
} from 'react';
import { formatDuration } from '../../format/units';
import type { Window } from './bars';
import type { CriticalPath } from './critical';
import { Minimap } from './Minimap';
import { SpanRow, type RowLook } from './SpanRow';
import classes from './Trace.module.css';
import { revealing, rowOf, ticks, visibleNodes, type Node, type TraceTree } from './tree';

const ROW_PX = 26;
/** Rows drawn above and below what is in sight. Scrolling draws again every so many rows. */
const MORE_ROWS = 16;
const EVERY_ROWS = 8;
const MARKS = 6;

interface Props {
  tree: TraceTree;
  critical: CriticalPath | undefined;
  colors: Map<string, string>;
  selected: Node | undefined;
  onSelect: (node: Node | undefined) => void;
  folded: ReadonlySet<string>;
  onFolded: (folded: ReadonlySet<string>) => void;
  /** Only these show. */
  kept: ReadonlySet<Node> | undefined;
  /** What is being looked for is in these. */
  found: ReadonlySet<Node> | undefined;
  view: Window;
  onView: (view: Window) => void;
  onService: (service: string) => void;
}

export function Waterfall(props: Props) {
  const { tree, critical, colors, selected, onSelect, folded, onFolded, kept, found, view, onView, onService } = props;
  const box = useRef<HTMLDivElement>(null);
  // Where the arrow keys are. A span selected by other means takes the cursor along and is unfolded.
  const [keys, setKeys] = useState({ selected, cursor: selected });
  if (keys.selected !== selected) {
    setKeys({ selected, cursor: selected ?? keys.cursor });
    if (selected) onFolded(revealing(selected, folded));
  }
  const rows = useMemo(() => visibleNodes(tree, folded, kept), [tree, folded, kept]);
  const { from, to, note } = useRowsInSight(box, rows.length);

  const reveal = (index: number, center = false) => {
    const element = box.current;
    if (!element || index < 0) return;
    const top = index * ROW_PX;
    const room = element.clientHeight;
    if (center) element.scrollTop = top - room / 2;
    else if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX > element.scrollTop + room) element.scrollTop = top + ROW_PX - room;
  };
  const bringIntoSight = useEffectEvent(() => {
    const index = rowOf(rows, selected);
    const element = box.current;
    if (!element || index < 0) return;
    const top = index * ROW_PX;
    // What is far away comes to the middle, so that what stands around it shows too.
    reveal(index, top < element.scrollTop - element.clientHeight || top > element.scrollTop + 2 * element.clientHeight);
  });
  useEffect(() => {
    if (selected) bringIntoSight();
  }, [selected]);

  // A fold or a filter may have hidden the row that the keys were at.
  const cursor = rowOf(rows, keys.cursor) >= 0 ? keys.cursor : rows[0];
  const latest = useRef({ folded, onFolded, selected, onSelect });
  useLayoutEffect(() => {
    latest.current = { folded, onFolded, selected, onSelect };
  });
  const onFold = useCallback((node: Node) => {
    const next = new Set(latest.current.folded);
    if (!next.delete(node.span.spanId)) next.add(node.span.spanId);
    latest.current.onFolded(next);
  }, []);
  const choose = useCallback((node: Node) => {
    box.current?.focus({ preventScroll: true });
    setKeys((old) => ({ ...old, cursor: node }));
    latest.current.onSelect(node === latest.current.selected ? undefined : node);
  }, []);
  const look = useMemo<RowLook>(
    () => ({ view, critical, startNs: tree.startNs, onSelect: choose, onFold }),
    [view, critical, tree, choose, onFold],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !cursor) return;
    const at = rowOf(rows, cursor);
    const go = (index: number) => {
      const next = rows[Math.max(0, Math.min(rows.length - 1, index))];
      if (!next) return;
      setKeys({ ...keys, cursor: next });
      // An open detail follows; a closed one stays closed until Enter.
      if (selected) onSelect(next);
      reveal(rowOf(rows, next));
    };
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / ROW_PX) - 1);
    const moves: Record<string, number> = {
      ...{ ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page },
      ...{ Home: 0, End: rows.length - 1 },
    };
    const move = moves[event.key];
    const shut = folded.has(cursor.span.spanId);
    if (move !== undefined) go(move);
    else if (event.key === 'Enter' || event.key === ' ') onSelect(cursor === selected ? undefined : cursor);
    else if (event.key === 'ArrowLeft') {
      if (cursor.children.length && !shut) onFold(cursor);
      else if (cursor.parent) go(rowOf(rows, cursor.parent));
    } else if (event.key === 'ArrowRight') {
      if (shut) onFold(cursor);
      else if (cursor.children.length) go(at + 1);
    } else return;
    event.preventDefault();
  };

  const marks = useMemo(() => {
    const width = view.to - view.from;
    return ticks(view.from, view.to, MARKS).map((ms) => ({
      ms,
      left: width > 0 ? ((ms - view.from) / width) * 100 : 0,
    }));
  }, [view]);

  return (
    <div className={classes.waterfall}>
      <Minimap tree={tree} critical={critical} colors={colors} view={view} onView={onView} />
      <div className={classes.scale}>
        <Services tree={tree} colors={colors} onService={onService} />
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
        aria-activedescendant={cursor ? `span-${cursor.span.spanId}` : undefined}
        onKeyDown={onKeyDown}
        onScroll={note}
        data-finding={found !== undefined}
        data-testid="waterfall"
      >
        <div className={classes.space} style={{ height: rows.length * ROW_PX }}>
          <div className={classes.gridlines} aria-hidden>
            <span />
            <div>
              {marks.map(({ ms, left }) => (
                <i key={ms} style={{ left: `${left}%` }} />
              ))}
            </div>
          </div>
          {rows.slice(from, to).map((node, at) => (
            <SpanRow
              key={node.span.spanId}
              node={node}
              look={look}
              color={colors.get(node.span.service) ?? 'var(--dim)'}
              top={(from + at) * ROW_PX}
              selected={node === selected}
              cursor={node === cursor}
              folded={folded.has(node.span.spanId)}
              found={found?.has(node)}
            />
          ))}
        </div>
      </div>
      <Key />
    </div>
  );
}

/** What a bar tells, for whoever sees one for the first time. */
function Key() {
  return (
    <ul className={classes.key} aria-label="What a bar means">
      <li data-key="own">at work itself</li>
      <li data-key="below">waits for spans below it</li>
      <li data-key="path">the whole trace waits for it</li>
      <li data-key="failed">failed</li>
    </ul>
  );
}

interface ServicesProps {
  tree: TraceTree;
  colors: Map<string, string>;
  onService: (service: string) => void;
}

/** What the colours mean; a service is a way to find its spans. */
function Services({ tree, colors, onService }: ServicesProps) {
  return (
    <div className={classes.services}>
      {tree.services.map((service) => (
        <button
          key={service}
          type="button"
          className="plain-button"
          title={`Find the spans of ${service}`}
          onClick={() => onService(service)}
        >
          <i style={{ background: colors.get(service) }} />
          {service}
        </button>
      ))}
    </div>
  );
}

/** Which rows to draw. All rows are of one height, so that the place of each is a product and not a search. */
function useRowsInSight(box: React.RefObject<HTMLDivElement | null>, count: number) {
  const [sight, setSight] = useState({ first: 0, rows: 40 });
  const note = useCallback(() => {
    const element = box.current;
    if (!element) return;
    const first = Math.floor(element.scrollTop / ROW_PX / EVERY_ROWS) * EVERY_ROWS;
    const rows = Math.ceil(element.clientHeight / ROW_PX) + EVERY_ROWS;
    setSight((old) => (old.first === first && old.rows === rows ? old : { first, rows }));
  }, [box]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const resized = new ResizeObserver(note);
    resized.observe(element);
    return () => resized.disconnect();
  }, [box, note]);
  // Fewer rows than before may leave the box scrolled to where none are.
  const first = Math.min(sight.first, Math.max(0, count - sight.rows));
  return {
    from: Math.max(0, first - MORE_ROWS),
    to: Math.min(count, first + sight.rows + MORE_ROWS),
    note,
  };
}
