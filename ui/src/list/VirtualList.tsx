import {
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type ReactNode,
  type Ref,
} from 'react';
import { flushSync } from 'react-dom';
import { inSight, indexAt, offsetsOf } from './offsets';
import classes from './VirtualList.module.css';

/** What is drawn above and below what is in sight, pixels. */
const MORE_PX = 250;
/** Nearer to its end than this, a list counts as standing there, pixels. */
const AT_END_PX = 6;

export interface ListHandle {
  /** Scrolls as little as is needed to have the item in sight. */
  reveal: (index: number) => void;
  /** Scrolls to the end at which new items appear. */
  toEnd: () => void;
  /** Scrolls by this many pixels, for an item that grew above what is being read. */
  shift: (px: number) => void;
  element: () => HTMLElement | null;
}

interface Props<T extends object> {
  /** An item is known by its identity: as long as the object is the same, its height and its place are kept. */
  items: readonly T[];
  /** The height of an item before any was seen, pixels; later it is the usual one of those that were. */
  usual: number;
  render: (item: T, index: number) => ReactNode;
  /** The end at which new items appear. Who stands there stays there; who reads elsewhere keeps what is in sight. */
  grows: 'top' | 'bottom';
  /** True while somebody reads at that very end: then it is left in place, too. */
  hold?: boolean;
  foot?: ReactNode;
  onAway?: (away: boolean) => void;
  handle?: Ref<ListHandle>;
  testId?: string;
  label: string;
}

/** A long list of items of any height that draws only what is in sight. */
export function VirtualList<T extends object>(props: Props<T>) {
  const { items, usual, render, grows, hold = false, foot, onAway, handle, testId, label } = props;
  const box = useRef<HTMLDivElement>(null);
  const [heights] = useState(() => new WeakMap<T, number>());
  const [itemOf] = useState(() => new WeakMap<Element, T>());
  const [measured, setMeasured] = useState(0);
  const guess = useRef(usual);
  const [sight, setSight] = useState({ top: 0, height: 800 });
  // Which item stands at the upper edge, and by how much it is scrolled out: what must not move under the reader.
  const anchor = useRef<{ item: T; by: number } | undefined>(undefined);
  const away = useRef(false);

  // `measured` counts changes inside `heights`, which React cannot see.
  const offsets = useMemo(() => offsetsOf(items, heights, guess.current), [items, heights, measured]); // eslint-disable-line react-hooks/exhaustive-deps
  const total = offsets[items.length] ?? 0;
  const { from, to } = inSight(offsets, sight.top - MORE_PX, sight.height + 2 * MORE_PX);

  const note = useCallback(() => {
    const element = box.current;
    if (!element) return;
    anchor.current = anchorAt(items, offsets, element.scrollTop);
    const rest = element.scrollHeight - element.clientHeight - element.scrollTop;
    const isAway = (grows === 'top' ? element.scrollTop : rest) > AT_END_PX;
    setSight({ top: element.scrollTop, height: element.clientHeight });
    if (isAway !== away.current) {
      away.current = isAway;
      onAway?.(isAway);
    }
  }, [items, offsets, grows, onAway]);

  // Before the browser paints: new items and new heights leave in place what is being read.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const held = anchor.current;
    let top = element.scrollTop;
    if (!away.current && !hold) top = grows === 'top' ? 0 : element.scrollHeight - element.clientHeight;
    else if (held) {
      const index = items.indexOf(held.item);
      if (index >= 0) top = (offsets[index] ?? 0) + held.by;
    }
    if (Math.abs(element.scrollTop - top) > 0.5) element.scrollTop = top;
    anchor.current = anchorAt(items, offsets, element.scrollTop);
    setSight((old) =>
      old.top === element.scrollTop && old.height === element.clientHeight
        ? old
        : { top: element.scrollTop, height: element.clientHeight },
    );
  }, [items, offsets, grows, hold]);

  const measure = useCallback(
    (elements: Iterable<Element>): boolean => {
      let changed = false;
      const seen: number[] = [];
      for (const element of elements) {
        const item = itemOf.get(element);
        const height = (element as HTMLElement).offsetHeight;
        if (!item || height === 0) continue;
        seen.push(height);
        if (heights.get(item) === height) continue;
        changed ||= (heights.get(item) ?? guess.current) !== height;
        heights.set(item, height);
      }
      // The middle one: a row that is open says nothing of the others. Small differences would only move the scroll bar.
      const middle = seen.sort((a, b) => a - b)[seen.length >> 1];
      if (middle !== undefined && seen.length > 2 && Math.abs(middle / guess.current - 1) > 0.25) {
        guess.current = middle;
        changed = true;
      }
      return changed;
    },
    [heights, itemOf],
  );

  const observer = useRef<ResizeObserver>(undefined);
  useEffect(() => {
    const resized = new ResizeObserver((entries) => {
      if (measure(entries.map(({ target }) => target))) flushSync(() => setMeasured((count) => count + 1));
    });
    observer.current = resized;
    for (const element of box.current?.querySelectorAll('[data-item]') ?? []) resized.observe(element);
    return () => resized.disconnect();
  }, [measure]);

  useLayoutEffect(() => {
    if (measure(box.current?.querySelectorAll('[data-item]') ?? [])) setMeasured((count) => count + 1);
  }, [from, to, items, measure]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const resized = new ResizeObserver(() => setSight({ top: element.scrollTop, height: element.clientHeight }));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);

  useImperativeHandle(
    handle,
    () => ({
      reveal: (index) => {
        const element = box.current;
        if (!element) return;
        const top = offsets[index] ?? 0;
        const bottom = offsets[index + 1] ?? top;
        const room = element.clientHeight;
        if (top < element.scrollTop || bottom - top > room) element.scrollTop = top;
        else if (bottom > element.scrollTop + room) element.scrollTop = bottom - room;
      },
      toEnd: () => {
        const element = box.current;
        if (element) element.scrollTop = grows === 'top' ? 0 : element.scrollHeight;
      },
      shift: (px) => {
        const element = box.current;
        if (!element) return;
        // What appeared is inside an item whose height is not known yet: by the old heights, others would seem to be in sight.
        const held = anchor.current;
        if (measure(element.querySelectorAll('[data-item]'))) setMeasured((count) => count + 1);
        element.scrollTop += px;
        anchor.current = held && { item: held.item, by: held.by + px };
      },
      element: () => box.current,
    }),
    [offsets, grows, measure],
  );

  const keyOf = useKeys<T>();
  return (
    <div ref={box} className={classes.box} onScroll={note} data-testid={testId} role="region" aria-label={label}>
      <div className={classes.space} style={{ height: total }}>
        {items.slice(from, to).map((item, at) => (
          <div
            key={keyOf(item)}
            ref={(element) => {
              if (!element) return;
              itemOf.set(element, item);
              observer.current?.observe(element);
              return () => observer.current?.unobserve(element);
            }}
            data-item
            data-index={from + at}
            className={classes.item}
            style={{ transform: `translateY(${offsets[from + at] ?? 0}px)` }}
          >
            {render(item, from + at)}
          </div>
        ))}
      </div>
      {foot}
    </div>
  );
}

function anchorAt<T>(items: readonly T[], offsets: Float64Array, top: number): { item: T; by: number } | undefined {
  const index = indexAt(offsets, top);
  const item = items[index];
  return item && { item, by: top - (offsets[index] ?? 0) };
}

/** A number for each object, the same as long as it lives. */
function useKeys<T extends object>(): (item: T) => number {
  const [known] = useState(() => ({ keys: new WeakMap<T, number>(), next: 0 }));
  return (item) => {
    const key = known.keys.get(item) ?? known.next++;
    known.keys.set(item, key);
    return key;
  };
}
