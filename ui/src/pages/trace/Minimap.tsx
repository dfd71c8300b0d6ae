import { useElementSize } from '@mantine/hooks';
import { useEffect, useRef, useState, type PointerEvent } from 'react';
import classes from './Trace.module.css';
import { position, type Node, type TraceTree } from './tree';

/** The part of the trace that shows, 0 to 1. */
export interface Window {
  from: number;
  to: number;
}

interface Props {
  tree: TraceTree;
  nodes: Node[];
  colors: Map<string, string>;
  view: Window;
  onView: (view: Window) => void;
}

const HEIGHT = 46;

/** The whole trace in small; dragging over it chooses the part that the waterfall shows. */
export function Minimap({ tree, nodes, colors, view, onView }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { ref, width } = useElementSize();
  const [drag, setDrag] = useState<Window>();
  const whole = view.from === 0 && view.to === 1;

  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !canvas.current || width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.current.width = width * ratio;
    canvas.current.height = HEIGHT * ratio;
    context.scale(ratio, ratio);
    const failed = getComputedStyle(document.documentElement).getPropertyValue('--bad-fill');
    const step = Math.min(4, (HEIGHT - 6) / Math.max(1, nodes.length));
    nodes.forEach(({ span }, index) => {
      context.fillStyle = span.status === 'error' ? failed : (colors.get(span.service) ?? '#888');
      const left = position(tree, span.startNs) * width;
      context.fillRect(
        left,
        3 + index * step,
        Math.max(1, position(tree, span.endNs) * width - left),
        Math.max(0.7, step - 0.7),
      );
    });
  }, [tree, nodes, colors, width]);

  const place = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const shown = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : view;
  return (
    <div className={classes.minimapRow}>
      <div
        ref={ref}
        className={classes.minimap}
        style={{ height: HEIGHT }}
        role="img"
        aria-label="The whole trace; drag to choose a part"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag({ from: place(event), to: place(event) });
        }}
        onPointerMove={(event) => {
          if (drag) setDrag({ ...drag, to: place(event) });
        }}
        onPointerUp={() => {
          if (drag && shown.to - shown.from > 0.004) onView(shown);
          setDrag(undefined);
        }}
        onDoubleClick={() => onView({ from: 0, to: 1 })}
      >
        <canvas ref={canvas} style={{ width: '100%', height: HEIGHT }} />
        <span className={classes.shade} style={{ left: 0, width: `${shown.from * 100}%` }} />
        <span className={classes.shade} style={{ right: 0, width: `${(1 - shown.to) * 100}%` }} />
      </div>
      {!whole && (
        <button type="button" className={classes.whole} onClick={() => onView({ from: 0, to: 1 })}>
          Show the whole trace
        </button>
      )}
    </div>
  );
}
