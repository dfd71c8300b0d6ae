import { useDeferredValue, useMemo, useRef, useState } from 'react';
import { useAddress } from '../../app/address';
import { useEscape, usePageKeys } from '../../app/useKeys';
import { causeOf } from './cause';
import type { Window } from './bars';
import { criticalPath } from './critical';
import { findSpans, nextOf } from './find';
import { SpanDetail } from './SpanDetail';
import { Story } from './Story';
import { Tools, type Show } from './Tools';
import classes from './Trace.module.css';
import { foldedAt, withAbove, type Node, type TraceTree } from './tree';
import { useColors } from './useColors';
import { Waterfall } from './Waterfall';

/** The spans of a trace in their order, with what finds one among them and the one that is selected. */
export function TraceSpans({ tree, partial }: { tree: TraceTree; partial: string | undefined }) {
  const [address, setAddress] = useAddress();
  const colors = useColors(tree.services);
  const critical = useMemo(() => criticalPath(tree), [tree]);
  const cause = useMemo(() => causeOf(tree), [tree]);
  const errors = useMemo(() => tree.order.filter(({ span }) => span.status === 'error'), [tree]);
  const [find, setFind] = useState('');
  const wanted = useDeferredValue(find);
  const hits = useMemo(() => findSpans(tree.order, wanted), [tree, wanted]);
  const found = useMemo(() => (wanted.trim() ? new Set(hits) : undefined), [hits, wanted]);
  const [show, setShow] = useState<Show>('all');
  const kept = useMemo(() => {
    if (show === 'path' && critical) return withAbove(critical.parts.keys());
    return show === 'errors' ? withAbove(errors) : undefined;
  }, [show, critical, errors]);
  const levelsMax = tree.depth + 1;
  const [levels, setLevels] = useState(levelsMax);
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [view, setView] = useState<Window>({ from: 0, to: tree.totalMs });
  const field = useRef<HTMLInputElement>(null);

  const selected = tree.nodes.get(address.span ?? '');
  const select = (node: Node | undefined) => {
    if (node && kept && !kept.has(node)) setShow('all');
    setAddress({ span: node?.span.spanId }, { replace: true });
  };
  const goTo = (nodes: Node[], backward: boolean) => {
    const next = nextOf(nodes, selected?.order ?? (backward ? tree.order.length : -1), backward);
    if (next) select(next);
  };
  const showLevels = (count: number) => {
    const next = Math.max(1, Math.min(levelsMax, count));
    setLevels(next);
    setFolded(next >= levelsMax ? new Set() : foldedAt(tree, next));
  };
  const zoomTo = (node: Node | undefined) => {
    if (node && node.end > node.start) setView({ from: node.start, to: node.end });
  };
  useEscape(() => select(undefined));
  usePageKeys({
    n: () => goTo(hits, false),
    N: () => goTo(hits, true),
    e: () => goTo(errors, false),
    E: () => goTo(errors, true),
    c: () => setShow(show === 'path' ? 'all' : 'path'),
    z: () => zoomTo(selected),
    x: () => setView({ from: 0, to: tree.totalMs }),
    '+': () => showLevels(levels + 1),
    '-': () => showLevels(levels - 1),
    '0': () => showLevels(levelsMax),
    ...Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`${index + 1}`, () => showLevels(index + 1)])),
  });
  return (
    <>
      <Story tree={tree} cause={cause} critical={critical} partial={partial} onSelect={select} />
      <Tools
        find={find}
        onFind={setFind}
        hits={hits.length}
        hit={selected ? hits.indexOf(selected) + 1 : 0}
        onHit={(backward) => goTo(hits, backward)}
        field={field}
        show={show}
        onShow={setShow}
        levels={levels}
        levelsMax={levelsMax}
        onLevels={showLevels}
        errors={errors.length}
        onError={(backward) => goTo(errors, backward)}
      />
      <div className={classes.body}>
        <Waterfall
          tree={tree}
          critical={critical}
          colors={colors}
          selected={selected}
          onSelect={select}
          folded={folded}
          onFolded={setFolded}
          kept={kept}
          found={found}
          view={view}
          onView={setView}
          onService={(service) => setFind(`"${service}"`)}
        />
        {selected && (
          <SpanDetail
            node={selected}
            tree={tree}
            critical={critical}
            onClose={() => select(undefined)}
            onSelect={select}
            onZoom={zoomTo}
          />
        )}
      </div>
    </>
  );
}
