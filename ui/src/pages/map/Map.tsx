import { Button, CloseButton, SegmentedControl, Select } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import {
  IconAlertOctagon,
  IconAlertTriangle,
  IconCircleCheck,
  IconClockHour4,
  IconMoonStars,
  IconSearch,
} from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import type { TopologyMap } from '../../api/topology';
import { useAddress } from '../../app/address';
import { useEscape, usePageKeys } from '../../app/useKeys';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { Canvas } from './Canvas';
import { driftCount, DriftPanel } from './DriftPanel';
import { EdgePanel } from './EdgePanel';
import { around, foldMap, isOpen, linkId, usualLevel, type Level, type Reach } from './fold';
import { KIND_WORDS, sentenceOf } from './health';
import { History } from './History';
import { layout } from './layout';
import { LinkTable } from './LinkTable';
import { keyOf, LOOKS, slowestWords, type Look } from './looks';
import classes from './Map.module.css';
import { NodePanel } from './NodePanel';
import { useDrift, useMap } from './useMap';

const LEVELS: { value: Level; label: string }[] = [
  { value: 'business_service', label: 'Business services' },
  { value: 'service', label: 'Services' },
  { value: 'component', label: 'Components' },
];
const NOTHING: ReadonlySet<string> = new Set();
/** As in `Map.module.css`. */
const NARROW = '(max-width: 700px)';

export default function ServiceMap() {
  const [address, setAddress] = useAddress();
  const atMs = Number(address.at) > 0 ? Number(address.at) : undefined;
  const map = useMap(atMs);
  return (
    <div className={classes.page}>
      <div className={classes.answer}>
        <Answer query={map} empty={(found) => (found.entities.length ? null : <NoMap />)}>
          {(found) => <Shown map={found} atMs={atMs} />}
        </Answer>
      </div>
      <History
        atMs={atMs}
        onMove={(at) => setAddress({ at: at === undefined ? undefined : `${at}` }, { replace: true })}
      />
    </div>
  );
}

const ICONS = {
  failing: IconAlertOctagon,
  degraded: IconAlertTriangle,
  healthy: IconCircleCheck,
  rest: IconMoonStars,
  slow: IconClockHour4,
};

function Shown({ map, atMs }: { map: TopologyMap; atMs: number | undefined }) {
  const [address, setAddress] = useAddress();
  const drift = useDrift(atMs);
  const narrow = useMediaQuery(NARROW, false, { getInitialValueInEffect: false });
  const view = address.view === 'table' || address.view === 'map' ? address.view : narrow ? 'table' : 'map';
  const [found, setFound] = useState<string>();
  const [driftShown, setDriftShown] = useState(false);
  const { graph, picture, level, reach } = useGraph(map, drift.data?.undeclared ?? NOTHING);
  const seconds = map.end - map.start;
  const look: Look = LOOKS.find(({ value }) => value === address.show)?.value ?? 'errors';
  const health = sentenceOf(graph, seconds);
  const sentence = look === 'latency' ? { state: 'slow' as const, ...slowestWords(graph) } : health;
  const Icon = ICONS[sentence.state];
  const select = ({ node, edge }: { node?: string; edge?: string }) => {
    setDriftShown(false);
    setAddress({ node, edge }, { replace: true });
  };
  const fold = (id: string) => {
    const flipped = new Set((address.flip ?? '').split(',').filter(Boolean));
    if (!flipped.delete(id)) flipped.add(id);
    setAddress({ flip: [...flipped].join(',') || undefined });
  };
  const close = () => {
    select({});
    setFound(undefined);
  };
  useEscape(close);
  usePageKeys({ v: () => setAddress({ view: view === 'map' ? 'table' : 'map' }, { replace: true }) });

  const link = graph.links.find(({ id }) => id === address.edge);
  const node = graph.nodes.get(address.node ?? '');
  const panel = driftShown || link !== undefined || node !== undefined;
  const show = (id: string) => {
    const shown = shownAs(map, graph.nodes, id);
    if (shown) {
      select({ node: shown });
      setFound(shown);
    } else setAddress({ node: id, edge: undefined, focus: undefined, reach: undefined }, { replace: true });
  };
  const showPair = (from: string, to: string) => {
    const [a, b] = [shownAs(map, graph.nodes, from), shownAs(map, graph.nodes, to)];
    if (a && b && graph.links.some(({ id }) => id === linkId(a, b))) select({ edge: linkId(a, b) });
    else show(from);
  };
  return (
    <>
      <header className={classes.top}>
        <div className={classes.summary} data-state={sentence.state}>
          <Icon size={22} stroke={1.8} aria-hidden />
          <h1 data-testid="map-sentence">
            {sentence.link ? (
              <button type="button" className="plain-button" onClick={() => select({ edge: sentence.link?.id })}>
                {sentence.text}
              </button>
            ) : (
              sentence.text
            )}
          </h1>
        </div>
        <div className={classes.tools}>
          <Search map={map} onFound={show} />
          <SegmentedControl
            aria-label="How finely the map is drawn"
            data={LEVELS}
            value={level}
            onChange={(value) => setAddress({ level: value, flip: undefined, node: undefined, edge: undefined })}
          />
          <SegmentedControl
            aria-label="Map or table"
            data={[
              { value: 'map', label: 'Map' },
              { value: 'table', label: 'Table' },
            ]}
            value={view}
            onChange={(value) => setAddress({ view: value }, { replace: true })}
          />
          {drift.data && (
            <Button
              variant="default"
              data-testid="drift"
              aria-pressed={driftShown}
              onClick={() => {
                setAddress({ node: undefined, edge: undefined }, { replace: true });
                setDriftShown(!driftShown);
              }}
            >
              {driftCount(drift.data) === 0 ? 'No drift' : `Drift: ${driftCount(drift.data)}`}
            </Button>
          )}
          {reach && (
            <Button variant="light" onClick={() => setAddress({ focus: undefined, reach: undefined })}>
              Show the whole map
            </Button>
          )}
        </div>
        {map.warnings.length > 0 && <p className={classes.warning}>{map.warnings.join(' ')}</p>}
      </header>
      <div className={classes.body} data-panel={panel}>
        {view === 'map' ? (
          <div className={classes.picture}>
            <Canvas
              graph={graph}
              look={look}
              picture={picture}
              seconds={seconds}
              selected={link?.id ?? node?.entity.id}
              found={found}
              onSelect={select}
              onFold={fold}
            />
            <div className={classes.legend}>
              <SegmentedControl
                size="xs"
                aria-label="What the colours tell"
                data={LOOKS}
                value={look}
                onChange={(value) => setAddress({ show: value === 'errors' ? undefined : value }, { replace: true })}
              />
              <Key look={look} />
            </div>
          </div>
        ) : (
          <div className={classes.tableBox}>
            <LinkTable
              graph={graph}
              links={graph.links}
              seconds={seconds}
              selected={link?.id}
              onSelect={(edge) => select({ edge })}
            />
          </div>
        )}
        {panel && (
          <aside className={classes.panel} aria-label="What is looked at" data-testid="map-panel">
            <CloseButton
              className={classes.close}
              aria-label="Close"
              onClick={() => {
                setDriftShown(false);
                close();
              }}
            />
            {driftShown && drift.data ? (
              <DriftPanel drift={drift.data} onPair={showPair} onNode={show} />
            ) : link ? (
              <EdgePanel
                link={link}
                graph={graph}
                startMs={map.start * 1000}
                endMs={map.end * 1000}
                onNode={(id) => select({ node: id })}
              />
            ) : node ? (
              <NodePanel
                node={node}
                graph={graph}
                seconds={seconds}
                reach={address.focus === node.entity.id ? reach : undefined}
                onEdge={(edge) => select({ edge })}
                onFold={fold}
                onReach={(next) => setAddress({ focus: next && node.entity.id, reach: next })}
              />
            ) : null}
          </aside>
        )}
      </div>
    </>
  );
}

function useGraph(map: TopologyMap, undeclared: ReadonlySet<string>) {
  const [address] = useAddress();
  const level = LEVELS.find(({ value }) => value === address.level)?.value ?? usualLevel(map.entities);
  const reach = address.focus === undefined ? undefined : reachOf(address.reach);
  const graph = useMemo(() => {
    const flipped = new Set((address.flip ?? '').split(',').filter(Boolean));
    return foldMap(map, {
      open: (entity) => isOpen(entity, level, flipped),
      only: address.focus && reach ? around(map, address.focus, reach) : undefined,
      undeclared,
    });
  }, [map, level, address.flip, address.focus, reach, undeclared]);
  // New numbers alone move nothing.
  const shape = JSON.stringify([[...graph.nodes.keys()], graph.links.map(({ id }) => id)]);
  const [kept, setKept] = useState({ shape: '', picture: undefined as ReturnType<typeof layout> | undefined });
  const picture = kept.shape === shape && kept.picture ? kept.picture : layout(graph);
  if (kept.picture !== picture) setKept({ shape, picture });
  return { graph, picture, level, reach };
}

function reachOf(text: string | undefined): Reach {
  return text === 'up' || text === 'down' ? text : 'near';
}

/** The node that stands for an entity: itself, or what it is folded into. */
function shownAs(map: TopologyMap, nodes: ReadonlyMap<string, unknown>, id: string): string | undefined {
  let here: string | undefined = id;
  for (let hops = 0; here !== undefined && hops < 4; hops++) {
    if (nodes.has(here)) return here;
    here = map.entities.find((entity) => entity.id === here)?.parent;
  }
  return undefined;
}

function Search({ map, onFound }: { map: TopologyMap; onFound: (id: string) => void }) {
  const data = useMemo(
    () =>
      [...map.entities]
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
        .map(({ id, name, kind }) => ({ value: id, label: `${name}, ${KIND_WORDS[kind]}` })),
    [map.entities],
  );
  return (
    <Select
      data-query
      className={classes.search}
      aria-label="Find on the map"
      placeholder="Find ( / )"
      leftSection={<IconSearch size={14} />}
      data={data}
      value={null}
      searchable
      limit={50}
      nothingFoundMessage="Nothing of this name"
      onChange={(id) => {
        if (id) onFound(id);
      }}
    />
  );
}

/** What the lines and colours mean. */
function Key({ look }: { look: Look }) {
  return (
    <ul className={classes.key} aria-label="What the picture means">
      {look === 'latency' && <li data-key="words">95 of 100 calls take</li>}
      {keyOf(look).map(([name, words]) => (
        <li key={name} data-key={name}>
          {words}
        </li>
      ))}
    </ul>
  );
}

function NoMap() {
  const time = useTime();
  return (
    <Empty
      title="There is nobody on the map yet"
      hint={
        <>
          Asked for everybody who sent spans by the end of {rangePhrase(time.text, time.nowMs)}, and for what the
          catalogue declares. Send OpenTelemetry spans, or start <code>tyto demo</code>.
        </>
      }
    />
  );
}
