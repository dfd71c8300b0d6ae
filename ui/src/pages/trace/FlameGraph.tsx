import { IconAlertOctagonFilled } from '@tabler/icons-react';
import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { formatCount, formatDuration, formatPercent } from '../../format/units';
import classes from './Flame.module.css';
import { layoutOf, mostOwnTime, type Frame, type Placed } from './flame';

const ROW_PX = 22;

interface Props {
  all: Frame;
  colors: Map<string, string>;
  /** How many traces are in it. */
  traces: number;
  /** What can be done with the frame that is looked at. */
  actions: (frame: Frame) => ReactNode;
}

/** Where time goes: each box a path of services and operations, as wide as the time spent in it and in all below it. */
export function FlameGraph({ all, colors, traces, actions }: Props) {
  const top = all.children.length === 1 && all.children[0] ? all.children[0] : all;
  const [focus, setFocus] = useState(top);
  const [cursor, setCursor] = useState<Frame>(top);
  const [pointed, setPointed] = useState<Frame>();
  const [marked, setMarked] = useState<string>();
  const layout = useMemo(() => layoutOf(focus), [focus]);
  const ranking = useMemo(() => mostOwnTime(all, 12), [all]);
  const shown = layout.placed.filter(({ frame }) => frame !== all || all.children.length !== 1);
  const firstLevel = Math.min(...shown.map(({ level }) => level));
  const zoom = (frame: Frame) => {
    setFocus(frame);
    setCursor(frame);
  };
  return (
    <div className={classes.page}>
      <div className={classes.main}>
        <FrameFacts frame={pointed ?? cursor} all={all} traces={traces}>
          {actions(pointed ?? cursor)}
        </FrameFacts>
        <Boxes
          shown={shown}
          height={(layout.levels - firstLevel) * ROW_PX}
          firstLevel={firstLevel}
          focus={focus}
          cursor={cursor}
          marked={marked}
          all={all}
          traces={traces}
          colors={colors}
          onCursor={setCursor}
          onPointed={setPointed}
          onZoom={zoom}
        />
        <p className={classes.foot}>
          Width is time: a box’s own and that of all below it, where what runs at the same time counts each time. The
          darker part at its left is its own time. A click makes a box as wide as the page; a click on one above it
          leads back.
          {layout.left > 0 &&
            ` ${layout.left === 1 ? 'One box is' : `${formatCount(layout.left)} boxes are`} too narrow to be drawn: click what is above to see more.`}
        </p>
      </div>
      <aside className={classes.ranking} aria-label="Most own time">
        <h2>Most own time</h2>
        <p className="dim">Where work was done, or waited for without a span, added up over all places.</p>
        <ol>
          {ranking.map(({ service, name, selfMs, count }) => {
            const key = `${service}\n${name}`;
            return (
              <li key={key}>
                <button
                  type="button"
                  className="plain-button"
                  aria-pressed={marked === key}
                  title="Mark it in the picture"
                  onClick={() => setMarked(marked === key ? undefined : key)}
                >
                  <span>
                    <i style={{ background: colors.get(service) }} />
                    <b>{service}</b> {name}
                  </span>
                  <span className={classes.rankBar}>
                    <i
                      style={{
                        width: `${(selfMs / Math.max(1e-9, ranking[0]?.selfMs ?? 0)) * 100}%`,
                        background: colors.get(service),
                      }}
                    />
                  </span>
                  <span className="num">
                    {formatDuration(selfMs)} <small className="dim">{formatCount(count)}×</small>
                  </span>
                </button>
              </li>
            );
          })}
        </ol>
      </aside>
    </div>
  );
}

interface FactsProps {
  frame: Frame;
  all: Frame;
  traces: number;
  children: ReactNode;
}

/** The frame in words: always in the same place, so that the pointer can run over the picture. */
function FrameFacts({ frame, all, traces, children }: FactsProps) {
  return (
    <div className={classes.about} data-testid="frame">
      <div>
        <strong>{nameOf(frame, traces)}</strong>
        <span className="dim">{frameWords(frame, all, traces)}</span>
      </div>
      {children}
    </div>
  );
}

function nameOf(frame: Frame, traces: number): string {
  return frame.name ? `${frame.service} ${frame.name}` : traces === 1 ? 'The whole trace' : `All ${traces} traces`;
}

export function frameWords(frame: Frame, all: Frame, traces: number): string {
  const share = all.totalMs > 0 ? ` (${formatPercent(Number((frame.totalMs / all.totalMs).toFixed(3)))} of all)` : '';
  if (!frame.name)
    return `${formatDuration(frame.totalMs)} of work in ${traces === 1 ? 'a trace that took' : 'traces that took together'} ${formatDuration(frame.durationMs)}`;
  const spans = `${formatCount(frame.count)} ${frame.count === 1 ? 'span' : 'spans'}`;
  const many = traces > 1 ? ` in ${formatCount(traces)} traces` : '';
  const failed = frame.errors ? `, ${formatCount(frame.errors)} failed` : '';
  return `${spans}${many}${failed}: ${formatDuration(frame.totalMs)}${share}, of it ${formatDuration(frame.selfMs)} its own${
    frame.count > 1 ? `; ${formatDuration(frame.durationMs / frame.count)} on average` : ''
  }`;
}

interface BoxesProps {
  shown: Placed[];
  height: number;
  firstLevel: number;
  focus: Frame;
  cursor: Frame;
  marked: string | undefined;
  all: Frame;
  traces: number;
  colors: Map<string, string>;
  onCursor: (frame: Frame) => void;
  onPointed: (frame: Frame | undefined) => void;
  onZoom: (frame: Frame) => void;
}

function Boxes(props: BoxesProps) {
  const { shown, height, firstLevel, focus, cursor, marked, all, traces, colors, onCursor, onPointed, onZoom } = props;
  const box = useRef<HTMLDivElement>(null);
  const ids = useMemo(() => new Map(shown.map(({ frame }, index) => [frame, `frame-${index}`])), [shown]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const drawn = (frame: Frame | undefined) => (frame && ids.has(frame) ? frame : undefined);
    const siblings = cursor.parent?.children ?? [];
    const next: Record<string, Frame | undefined> = {
      ArrowUp: drawn(cursor.parent),
      ArrowDown: drawn(cursor.children[0]),
      ArrowLeft: drawn(siblings[siblings.indexOf(cursor) - 1]),
      ArrowRight: drawn(siblings[siblings.indexOf(cursor) + 1]),
    };
    if (event.key === 'Enter' || event.key === ' ') onZoom(cursor);
    else if (event.key === 'Backspace' && focus.parent) onZoom(focus.parent);
    else if (event.key in next) {
      const frame = next[event.key];
      if (frame) {
        onCursor(frame);
        box.current?.querySelector(`#${ids.get(frame)}`)?.scrollIntoView({ block: 'nearest' });
      }
    } else return;
    event.preventDefault();
  };
  return (
    <div
      ref={box}
      className={classes.scroll}
      tabIndex={0}
      role="tree"
      aria-label="Flame graph"
      aria-activedescendant={ids.get(cursor)}
      onKeyDown={onKeyDown}
      onPointerLeave={() => onPointed(undefined)}
      data-testid="flame"
    >
      <div className={classes.space} style={{ height }}>
        {shown.map(({ frame, left, width, level }) => (
          // The tree takes the keys; a click on a box is the pointer's way to the same.
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={ids.get(frame)}
            id={ids.get(frame)}
            role="treeitem"
            tabIndex={-1}
            aria-selected={frame === focus}
            aria-level={level + 1}
            aria-label={`${nameOf(frame, traces)}: ${frameWords(frame, all, traces)}`}
            className={classes.frame}
            style={{
              left: `${left * 100}%`,
              width: `${width * 100}%`,
              top: (level - firstLevel) * ROW_PX,
              ...fillOf(frame, colors),
            }}
            data-cursor={frame === cursor}
            data-dim={marked !== undefined && frame.key !== marked}
            data-error={frame.errors > 0}
            data-testid="flame-box"
            onPointerEnter={() => onPointed(frame)}
            onClick={() => onZoom(frame)}
          >
            {frame.errors > 0 && width > 0.02 && <IconAlertOctagonFilled size={12} aria-hidden />}
            {width > 0.015 && <span>{nameOf(frame, traces)}</span>}
          </div>
        ))}
      </div>
    </div>
  );
}

/** The service's colour, stronger over the part that is the frame's own time. */
function fillOf(frame: Frame, colors: Map<string, string>): { background: string } {
  if (!frame.name) return { background: 'var(--raised)' };
  const color = colors.get(frame.service) ?? 'var(--dim)';
  const own = frame.totalMs > 0 ? (frame.selfMs / frame.totalMs) * 100 : 100;
  const strong = `color-mix(in srgb, ${color} 46%, var(--surface))`;
  const weak = `color-mix(in srgb, ${color} 22%, var(--surface))`;
  return { background: `linear-gradient(90deg, ${strong} ${own.toFixed(2)}%, ${weak} ${own.toFixed(2)}%)` };
}
