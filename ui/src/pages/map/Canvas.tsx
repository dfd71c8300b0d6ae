import { ActionIcon, Tooltip } from '@mantine/core';
import { IconFocusCentered, IconMinus, IconPlus } from '@tabler/icons-react';
import { memo, useEffect, useMemo, useState, type CSSProperties, type KeyboardEvent, type ReactNode } from 'react';
import type { Graph, Link, Node } from './fold';
import { errorRatio, KIND_WORDS, percentWords, rateWords, secondsWords, stateOf, WORDS, type State } from './health';
import { curve, middleOf, NODE_HEIGHT, NODE_WIDTH, type Box, type Picture } from './layout';
import { labelled, tintOf, widthOf, type Look } from './looks';
import classes from './Map.module.css';
import { neighbour, type Direction } from './move';
import { Outline } from './shapes';
import { useZoom } from './useZoom';

interface Props {
  graph: Graph;
  /** What colours and widths tell. */
  look: Look;
  picture: Picture;
  /** The length of the time that is shown. */
  seconds: number;
  /** The id of a node or a link. */
  selected: string | undefined;
  /** A node that somebody looked for: it is brought into the middle. */
  found: string | undefined;
  onSelect: (what: { node?: string; edge?: string }) => void;
  onFold: (id: string) => void;
}

const ARROWS: Record<string, Direction> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

export function Canvas({ graph, look, picture, seconds, selected, found, onSelect, onFold }: Props) {
  const { box, stage, by, fit, show } = useZoom(picture.width, picture.height);
  const [hovered, setHovered] = useState<string>();
  const leaves = useMemo(() => [...graph.nodes.values()].filter(({ children }) => children.length === 0), [graph]);
  const frames = useMemo(() => [...graph.nodes.values()].filter(({ children }) => children.length > 0), [graph]);
  const widest = Math.max(...graph.links.map(({ rate }) => rate), 0);
  const labels = useMemo(() => labelled(look, graph.links), [look, graph]);
  const lit = useMemo(() => litBy(graph, hovered ?? selected), [graph, hovered, selected]);
  const [current, setCurrent] = useState<string>();
  const start = selected && graph.nodes.has(selected) ? selected : (current ?? leaves[0]?.entity.id);

  useEffect(() => {
    const spot = found === undefined ? undefined : picture.boxes.get(found);
    if (spot) show(spot.x + spot.width / 2, spot.y + spot.height / 2, true);
  }, [found, picture, show]);

  const onKey = (event: KeyboardEvent<SVGSVGElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const here = (event.target as Element).getAttribute('data-id') ?? start;
    const direction = ARROWS[event.key];
    if (direction && here) {
      const next = neighbour(picture.boxes, new Set(leaves.map(({ entity }) => entity.id)), here, direction);
      event.preventDefault();
      if (!next) return;
      setCurrent(next);
      const spot = picture.boxes.get(next);
      if (spot) show(spot.x + spot.width / 2, spot.y + spot.height / 2);
      box.current?.querySelector<SVGGElement>(`[data-id="${CSS.escape(next)}"]`)?.focus();
    } else if (event.key === '+' || event.key === '=') by(1.3);
    else if (event.key === '-') by(1 / 1.3);
    else if (event.key === '0') fit();
    else return;
    event.stopPropagation();
  };
  return (
    <div className={classes.canvas}>
      {/* A picture with keys of its own, as a map has them; the same is told by the table. */}
      <svg
        ref={box}
        className={classes.svg}
        data-testid="map"
        data-look={look}
        data-focus={lit !== undefined}
        role="group"
        aria-label="Service map"
        onKeyDown={onKey}
      >
        <g ref={stage}>
          {frames.map((node) => (
            <Frame key={node.entity.id} box={picture.boxes.get(node.entity.id)} />
          ))}
          {graph.links.map((link) => (
            <Line
              key={link.id}
              link={link}
              graph={graph}
              picture={picture}
              seconds={seconds}
              look={look}
              label={labels.get(link.id)}
              width={widthOf(look, link, widest)}
              selected={selected === link.id}
              lit={lit?.has(link.id) ?? false}
              onSelect={onSelect}
              onHover={setHovered}
            />
          ))}
          {leaves.map((node) => (
            <Leaf
              key={node.entity.id}
              node={node}
              box={picture.boxes.get(node.entity.id)}
              seconds={seconds}
              selected={selected === node.entity.id}
              first={start === node.entity.id}
              look={look}
              lit={lit?.has(node.entity.id) ?? false}
              onSelect={onSelect}
              onFold={onFold}
              onHover={setHovered}
            />
          ))}
          {/* Above all else: from afar the names of frames are what can be read. */}
          {frames.map((node) => (
            <FrameName
              key={node.entity.id}
              node={node}
              box={picture.boxes.get(node.entity.id)}
              onSelect={onSelect}
              onFold={onFold}
            />
          ))}
        </g>
      </svg>
      <div className={classes.zoom}>
        <Tool label="Larger (+)" icon={<IconPlus size={16} />} onClick={() => by(1.3)} />
        <Tool label="Smaller (-)" icon={<IconMinus size={16} />} onClick={() => by(1 / 1.3)} />
        <Tool label="The whole map (0)" icon={<IconFocusCentered size={16} />} onClick={fit} />
      </div>
    </div>
  );
}

function Tool({ label, icon, onClick }: { label: string; icon: ReactNode; onClick: () => void }) {
  return (
    <Tooltip label={label} position="left">
      <ActionIcon variant="default" size={30} aria-label={label} onClick={onClick}>
        {icon}
      </ActionIcon>
    </Tooltip>
  );
}

/** What belongs to a node or a line: itself, its ends, its neighbours. Everything else steps back. */
function litBy(graph: Graph, id: string | undefined): ReadonlySet<string> | undefined {
  if (id === undefined) return undefined;
  const link = graph.links.find((each) => each.id === id);
  if (link) return new Set([link.id, link.from, link.to]);
  const node = graph.nodes.get(id);
  if (!node) return undefined;
  const own = new Set<string>();
  const gather = ({ entity, children }: Node) => {
    own.add(entity.id);
    children.forEach(gather);
  };
  gather(node);
  const lit = new Set(own);
  for (const { id: each, from, to } of graph.links)
    if (own.has(from) || own.has(to)) for (const one of [each, from, to]) lit.add(one);
  return lit;
}

interface FrameProps {
  node: Node;
  box: Box | undefined;
  onSelect: Props['onSelect'];
  onFold: Props['onFold'];
}

const Frame = memo(function Frame({ box }: Pick<FrameProps, 'box'>) {
  return (
    box && (
      <g transform={`translate(${box.x} ${box.y})`} className={classes.frame} data-depth={box.depth}>
        <rect width={box.width} height={box.height} rx={10} />
      </g>
    )
  );
});

const FrameName = memo(function FrameName({ node, box, onSelect, onFold }: FrameProps) {
  if (!box) return null;
  const { entity } = node;
  const fold = () => onFold(entity.id);
  return (
    <g transform={`translate(${box.x} ${box.y})`} className={classes.frame} data-depth={box.depth}>
      <g
        role="button"
        tabIndex={-1}
        aria-label={`${entity.name}, ${KIND_WORDS[entity.kind]}`}
        onClick={() => onSelect({ node: entity.id })}
        onKeyDown={pressed(() => onSelect({ node: entity.id }))}
        className={classes.frameName}
      >
        <text x={14} y={21}>
          {fitText(entity.name, (box.width - 60) / 7)}
        </text>
      </g>
      <g
        role="button"
        tabIndex={0}
        aria-label={`Fold ${entity.name}`}
        className={classes.fold}
        transform={`translate(${box.width - 20} 16)`}
        onClick={fold}
        onKeyDown={pressed(fold)}
      >
        <title>Fold</title>
        <circle r={9} />
        <path d="M-4 0H4" />
      </g>
    </g>
  );
});

interface LineProps {
  link: Link;
  graph: Graph;
  picture: Picture;
  seconds: number;
  look: Look;
  /** How long or how much, where the line has room for it. */
  label: string | undefined;
  width: number;
  selected: boolean;
  lit: boolean;
  onSelect: Props['onSelect'];
  onHover: (id: string | undefined) => void;
}

const DRIFT_WORDS = { undeclared: 'not declared', unseen: 'never seen' };

const Line = memo(function Line({
  link,
  graph,
  picture,
  seconds,
  look,
  label,
  width,
  selected,
  lit,
  onSelect,
  onHover,
}: LineProps) {
  const route = picture.routes.get(link.id);
  const [from, to] = [graph.nodes.get(link.from)?.entity, graph.nodes.get(link.to)?.entity];
  const last = route?.points.at(-1);
  if (!route || !last || !from || !to) return null;
  const state = stateOf(link, seconds);
  const path = curve(route);
  const before = route.points.at(-2) ?? last;
  const turn = route.downward ? (last.y < before.y ? -90 : 90) : last.x < before.x ? 180 : 0;
  const size = 5 + width * 0.8;
  const middle = middleOf(route);
  const ill = state === 'failing' || state === 'degraded';
  const fails = ill ? `${percentWords(errorRatio(link))} fail` : '';
  const drift = link.drift && DRIFT_WORDS[link.drift];
  const words = look === 'errors' ? fails || drift : label;
  const took = link.p95Seconds === undefined ? '' : `p95 ${secondsWords(link.p95Seconds)}`;
  return (
    <g
      className={classes.line}
      data-testid="edge"
      data-edge={link.id}
      data-state={state}
      data-drift={link.drift}
      data-selected={selected}
      data-lit={lit}
      style={tinted(look, link)}
    >
      <path d={path} className={classes.stroke} strokeWidth={width} />
      <path
        d={`M0 0l${-size * 1.4} ${-size * 0.7}v${size * 1.4}Z`}
        transform={`translate(${last.x} ${last.y}) rotate(${turn})`}
        className={classes.tip}
      />
      {words && (
        <text x={middle.x} y={middle.y - 5} className={classes.lineWords}>
          {words}
        </text>
      )}
      {/* Keys reach a line through the panels of its ends, and through the table. */}
      <path
        d={path}
        className={classes.touch}
        onClick={() => onSelect({ edge: link.id })}
        onPointerEnter={() => onHover(link.id)}
        onPointerLeave={() => onHover(undefined)}
      >
        <title>
          {`${from.name} → ${to.name}: ${[rateWords(link.rate), fails, took, drift].filter(Boolean).join(', ')}`}
        </title>
      </path>
    </g>
  );
});

interface LeafProps {
  node: Node;
  box: Box | undefined;
  seconds: number;
  selected: boolean;
  first: boolean;
  look: Look;
  lit: boolean;
  onSelect: Props['onSelect'];
  onFold: Props['onFold'];
  onHover: (id: string | undefined) => void;
}

const Leaf = memo(function Leaf(props: LeafProps) {
  const { node, box, seconds, selected, first, look, lit, onSelect, onFold, onHover } = props;
  if (!box) return null;
  const { entity, folded } = node;
  const user = entity.kind === 'user';
  // Users serve nothing, and are not well or ill themselves.
  const state = user ? 'healthy' : stateOf(entity, seconds);
  const ill = state === 'failing' || state === 'degraded';
  const numbers = user ? '' : numbersOf(entity, state, look);
  const kind = folded ? `${folded} ${folded === 1 ? 'part' : 'parts'}` : KIND_WORDS[entity.kind];
  // Below the lid of a drum.
  const lid = entity.kind === 'database' ? 4 : 0;
  const select = () => onSelect({ node: entity.id });
  const unfold = () => onFold(entity.id);
  return (
    <g
      transform={`translate(${box.x} ${box.y})`}
      className={classes.node}
      data-testid="node"
      data-id={entity.id}
      data-kind={entity.kind}
      data-state={look === 'errors' || !ill ? state : 'healthy'}
      data-selected={selected}
      data-lit={lit}
      style={user ? undefined : tinted(look, entity)}
      role="button"
      tabIndex={first ? 0 : -1}
      aria-label={`${entity.name}, ${KIND_WORDS[entity.kind]}, ${user ? '' : WORDS[state]}${numbers ? `, ${numbers}` : ''}`}
      aria-pressed={selected}
      onClick={select}
      onKeyDown={(event) => {
        if (event.key === 'u' && folded) unfold();
        else pressed(select)(event);
      }}
      onPointerEnter={() => onHover(entity.id)}
      onPointerLeave={() => onHover(undefined)}
    >
      <title>{entity.name}</title>
      <Outline kind={entity.kind} folded={folded > 0} />
      {ill && (
        <g className={classes.alarm} data-state={state} transform={`translate(${NODE_WIDTH - 6} 5)`} aria-hidden>
          <circle r={8.5} />
          <text y={4}>!</text>
        </g>
      )}
      <text x={NODE_WIDTH / 2} y={21 + lid} className={classes.name}>
        {fitText(entity.name, folded ? 21 : 25)}
      </text>
      <text x={NODE_WIDTH / 2} y={36 + lid} className={classes.meta}>
        {kind}
        {numbers && ` · ${numbers}`}
      </text>
      <FarName lines={twoLines(entity.name, folded ? 15 : 17)} />
      {folded > 0 && (
        <g
          role="button"
          tabIndex={-1}
          aria-label={`Unfold ${entity.name}`}
          className={classes.fold}
          transform={`translate(${NODE_WIDTH - 16} ${NODE_HEIGHT / 2 - 6})`}
          onClick={(event) => {
            event.stopPropagation();
            unfold();
          }}
          onKeyDown={pressed(unfold)}
        >
          <title>Unfold (u)</title>
          <circle r={9} />
          <path d="M-4 0H4M0 -4V4" />
        </g>
      )}
    </g>
  );
});

function tinted(look: Look, what: { rate: number; p95Seconds: number | undefined }): CSSProperties | undefined {
  const tint = tintOf(look, what);
  return tint === undefined ? undefined : ({ '--state': tint } as CSSProperties);
}

function numbersOf(entity: Node['entity'], state: State, look: Look): string {
  if (state === 'rest' || state === 'unseen') return WORDS[state].toLowerCase();
  if (look === 'latency') return `p95 ${secondsWords(entity.p95Seconds)}`;
  const ill = look === 'errors' && (state === 'failing' || state === 'degraded');
  return `${rateWords(entity.rate)}${ill ? ` · ${percentWords(errorRatio(entity))} fail` : ''}`;
}

/** Larger, and in the place of the numbers, which nobody can read from afar. */
function FarName({ lines }: { lines: string[] }) {
  return (
    <text className={classes.farName} aria-hidden>
      {lines.map((line, index) => (
        <tspan key={index} x={NODE_WIDTH / 2} y={lines.length === 1 ? 30 : 21 + index * 19}>
          {line}
        </tspan>
      ))}
    </text>
  );
}

function pressed(act: () => void) {
  return (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    event.stopPropagation();
    act();
  };
}

/** Cut in the middle: names of one company often begin alike. */
export function fitText(text: string, letters: number): string {
  const most = Math.max(4, Math.floor(letters));
  if (text.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}

/** In two where it is too long for one, at the `-`, `.`, `_` or `/` that is nearest to the middle. */
export function twoLines(text: string, letters: number): string[] {
  if (text.length <= letters) return [text];
  const middle = text.length / 2;
  const breaks = [...text.matchAll(/[-._/]/g)].map(({ index }) => index + 1).filter((at) => at < text.length);
  const at = breaks.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle))[0] ?? Math.ceil(middle);
  return [text.slice(0, at), text.slice(at)].map((line) => fitText(line, letters));
}
