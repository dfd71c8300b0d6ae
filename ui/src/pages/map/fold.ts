import type { Edge, EdgeKind, Entity, TopologyMap } from '../../api/topology';

export type Level = 'business_service' | 'service' | 'component';

/** A node of the picture; with children it is a frame around them. */
export interface Node {
  entity: Entity;
  children: Node[];
  /** Set where it has parts that do not show: how many components. */
  folded: number;
}

/** What one node asks of another, added up over the calls between their parts. */
export interface Link {
  id: string;
  from: string;
  to: string;
  kind: EdgeKind;
  rate: number;
  errorRate: number;
  /** The slowest part's: quantiles cannot be added up. */
  p50Seconds: number | undefined;
  p95Seconds: number | undefined;
  firstSeen: number | undefined;
  lastSeen: number | undefined;
  /** `unseen`: only declared. `undeclared`: seen from a component that declares others. */
  drift: 'unseen' | 'undeclared' | undefined;
  parts: Edge[];
}

export interface Graph {
  roots: Node[];
  nodes: Map<string, Node>;
  links: Link[];
}

export function linkId(from: string, to: string): string {
  return `${from} > ${to}`;
}

/** Which parts of the company show their parts: those above the level, but for the ones that are flipped. */
export function isOpen(entity: Entity, level: Level, flipped: ReadonlySet<string>): boolean {
  const open =
    level === 'component' ? entity.kind !== 'component' : level === 'service' && entity.kind === 'business_service';
  return open !== flipped.has(entity.id);
}

/** Few enough to be read at once are shown to the last component. */
export function usualLevel(entities: Entity[]): Level {
  const count = (kind: Entity['kind']) => entities.filter((entity) => entity.kind === kind).length;
  if (count('component') <= 40) return 'component';
  return count('service') <= 60 ? 'service' : 'business_service';
}

export interface FoldOptions {
  open: (entity: Entity) => boolean;
  /** Ids of the finest entities that show; all without it. */
  only?: ReadonlySet<string>;
  /** `linkId`s of the finest edges that nobody declared. */
  undeclared: ReadonlySet<string>;
}

export function foldMap(map: TopologyMap, { open, only, undeclared }: FoldOptions): Graph {
  const byId = new Map(map.entities.map((entity) => [entity.id, entity]));
  const parts = childrenOf(map.entities, byId);
  const nodes = new Map<string, Node>();
  const place = new Map<string, string>();
  const build = (entity: Entity): Node[] => {
    const children = parts.get(entity.id) ?? [];
    const leaves = children.length ? leavesOf(entity, parts) : [entity];
    const wanted = only ? leaves.filter(({ id }) => only.has(id)) : leaves;
    if (wanted.length === 0) return [];
    if (children.length && open(entity)) {
      const built = children.flatMap(build);
      // A frame around one thing tells nothing.
      if (entity.kind === 'service' && built.length === 1) return built;
      const node = { entity, children: built, folded: 0 };
      nodes.set(entity.id, node);
      return [node];
    }
    for (const leaf of wanted) place.set(leaf.id, entity.id);
    const node = { entity, children: [], folded: children.length ? leaves.length : 0 };
    nodes.set(entity.id, node);
    return [node];
  };
  const roots = (parts.get(undefined) ?? []).flatMap(build);
  return { roots, nodes, links: mergeEdges(map.edges, place, undeclared) };
}

function childrenOf(entities: Entity[], byId: ReadonlyMap<string, Entity>): Map<string | undefined, Entity[]> {
  const parts = new Map<string | undefined, Entity[]>();
  for (const entity of [...entities].sort((a, b) => compare(a.id, b.id))) {
    const parent = entity.parent !== undefined && byId.has(entity.parent) ? entity.parent : undefined;
    const list = parts.get(parent);
    if (list) list.push(entity);
    else parts.set(parent, [entity]);
  }
  return parts;
}

function leavesOf(entity: Entity, parts: ReadonlyMap<string | undefined, Entity[]>): Entity[] {
  const children = parts.get(entity.id) ?? [];
  return children.length ? children.flatMap((child) => leavesOf(child, parts)) : [entity];
}

function mergeEdges(edges: Edge[], place: ReadonlyMap<string, string>, undeclared: ReadonlySet<string>): Link[] {
  const groups = new Map<string, Edge[]>();
  for (const edge of edges) {
    const from = place.get(edge.from);
    const to = place.get(edge.to);
    // Calls inside of what is folded are no line of the picture; a component's calls of itself are.
    if (from === undefined || to === undefined || (from === to && edge.from !== edge.to)) continue;
    const id = linkId(from, to);
    const group = groups.get(id);
    if (group) group.push(edge);
    else groups.set(id, [edge]);
  }
  return [...groups].map(([id, parts]) => mergeParts(id, parts, place, undeclared)).sort((a, b) => compare(a.id, b.id));
}

function mergeParts(
  id: string,
  parts: Edge[],
  place: ReadonlyMap<string, string>,
  undeclared: ReadonlySet<string>,
): Link {
  const [first] = parts;
  const seen = parts.filter(({ kind }) => kind !== 'declared');
  const sum = (value: (edge: Edge) => number) => parts.reduce((total, edge) => total + value(edge), 0);
  const known = (value: (edge: Edge) => number | undefined) =>
    parts.map(value).filter((found): found is number => found !== undefined);
  const most = (values: number[]) => (values.length ? Math.max(...values) : undefined);
  const firsts = known((edge) => edge.firstSeen);
  return {
    id,
    from: place.get(first?.from ?? '') ?? '',
    to: place.get(first?.to ?? '') ?? '',
    kind: (seen[0] ?? first)?.kind ?? 'call',
    rate: sum((edge) => edge.rate),
    errorRate: sum((edge) => edge.errorRate),
    p50Seconds: most(known((edge) => edge.p50Seconds)),
    p95Seconds: most(known((edge) => edge.p95Seconds)),
    firstSeen: firsts.length ? Math.min(...firsts) : undefined,
    lastSeen: most(known((edge) => edge.lastSeen)),
    drift:
      seen.length === 0
        ? 'unseen'
        : seen.some(({ from, to }) => undeclared.has(linkId(from, to)))
          ? 'undeclared'
          : undefined,
    parts,
  };
}

export type Reach = 'near' | 'up' | 'down';

/** The finest entities around one: who it talks with directly, all that lead to it, or all that it leads to. */
export function around(map: TopologyMap, id: string, reach: Reach): Set<string> {
  const parts = childrenOf(map.entities, new Map(map.entities.map((entity) => [entity.id, entity])));
  const centre = map.entities.find((entity) => entity.id === id);
  const found = new Set(centre ? leavesOf(centre, parts).map((leaf) => leaf.id) : []);
  const start = new Set(found);
  if (reach === 'near') {
    for (const { from, to } of map.edges) {
      if (start.has(from)) found.add(to);
      if (start.has(to)) found.add(from);
    }
    return found;
  }
  const next = new Map<string, string[]>();
  for (const { from, to } of map.edges) {
    const [here, there] = reach === 'down' ? [from, to] : [to, from];
    next.set(here, [...(next.get(here) ?? []), there]);
  }
  const waiting = [...found];
  for (let here = waiting.pop(); here !== undefined; here = waiting.pop())
    for (const there of next.get(here) ?? []) {
      if (found.has(there)) continue;
      found.add(there);
      waiting.push(there);
    }
  return found;
}

/** By code point: the same in every browser and language. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
