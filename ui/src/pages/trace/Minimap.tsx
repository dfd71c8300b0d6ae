import { useElementSize } from '@mantine/hooks';
import { useEffect, useRef, useState, type PointerEvent } from 'react';
import { token } from '../../theme/palette';
import type { Window } from './bars';
import type { CriticalPath } from './critical';
import classes from './Trace.module.css';
import type { TraceTree } from './tree';

interface Props {
  tree: TraceTree;
  critical: CriticalPath | undefined;
  colors: Map<string, string>;
  view: Window;
  onView: (view: Window) => void;
}

const HEIGHT = 50;
/** The lowest part is the critical path's. */
const PATH_PX = 3;
const LEAST_DRAG = 0.004;

/** The whole trace in small; dragging over it chooses the part that the waterfall shows. */
export function Minimap({ tree, critical, colors, view, onView }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { ref, width } = useElementSize();
  const [drag, setDrag] = useState<{ from: number; to: number }>();
  const total = tree.totalMs || 1;
  const whole = view.from === 0 && view.to === tree.totalMs;

  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !canvas.current || width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.current.width = width * ratio;
    canvas.current.height = HEIGHT * ratio;
    context.scale(ratio, ratio);
    const room = HEIGHT - PATH_PX - 7;
    const step = Math.min(4, room / Math.max(1, tree.order.length));
    const paint = (index: number, color: string, least: number) => {
      const { start, end } = tree.order[index] as (typeof tree.order)[number];
      context.fillStyle = color;
      const long = Math.max(least, ((end - start) / total) * width);
      context.fillRect((start / total) * width, 2 + index * step, long, Math.max(0.7, step - 0.7, least - 1));
    };
    tree.order.forEach(({ span }, index) => paint(index, colors.get(span.service) ?? '#888', 1));
    // Failures last and not too small: none may vanish among thousands of spans.
    const failed = token('--bad-fill');
    tree.order.forEach(({ span }, index) => {
      if (span.status === 'error') paint(index, failed, 3);
    });
    context.fillStyle = token('--text');
    for (const part of critical?.parts.values() ?? [])
      for (const [from, to] of part)
        context.fillRect(
          (from / total) * width,
          HEIGHT - PATH_PX,
          Math.max(0.5, ((to - from) / total) * width),
          PATH_PX,
        );
  }, [tree, critical, colors, width, total]);

  const place = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const shown = drag
    ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) }
    : { from: view.from / total, to: view.to / total };
  return (
    <div className={classes.minimapRow}>
      <div
        ref={ref}
        className={classes.minimap}
        style={{ height: HEIGHT }}
        role="img"
        aria-label="The whole trace, and below it its critical path; drag to choose a part"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag({ from: place(event), to: place(event) });
        }}
        onPointerMove={(event) => {
          if (drag) setDrag({ ...drag, to: place(event) });
        }}
        onPointerUp={() => {
          if (drag && shown.to - shown.from > LEAST_DRAG) onView({ from: shown.from * total, to: shown.to * total });
          setDrag(undefined);
        }}
        onDoubleClick={() => onView({ from: 0, to: tree.totalMs })}
      >
        <canvas ref={canvas} style={{ width: '100%', height: HEIGHT }} />
        <span className={classes.shade} style={{ left: 0, width: `${shown.from * 100}%` }} />
        <span className={classes.shade} style={{ right: 0, width: `${(1 - shown.to) * 100}%` }} />
      </div>
      {!whole && (
        <button type="button" className={classes.whole} onClick={() => onView({ from: 0, to: tree.totalMs })}>
          Show the whole trace
        </button>
      )}
    </div>
  );
}
