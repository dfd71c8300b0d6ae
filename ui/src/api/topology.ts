import { asArray, asNumber, asRecord, asText, getJson } from './client';

export type EntityKind = 'business_service' | 'service' | 'component' | 'database' | 'queue' | 'external' | 'user';
export type EdgeKind = 'call' | 'messaging' | 'database' | 'declared';

export interface Entity {
  id: string;
  kind: EntityKind;
  name: string;
  businessService: string | undefined;
  service: string | undefined;
  /** The id of what it is a part of. */
  parent: string | undefined;
  /** What it served, per second of the time that was asked for. */
  rate: number;
  errorRate: number;
  p95Seconds: number | undefined;
  /** Unix seconds; undefined for what is declared and was never seen. */
  firstSeen: number | undefined;
  lastSeen: number | undefined;
  declared: boolean;
}

export interface Edge {
  from: string;
  to: string;
  kind: EdgeKind;
  rate: number;
  errorRate: number;
  p50Seconds: number | undefined;
  p95Seconds: number | undefined;
  firstSeen: number | undefined;
  lastSeen: number | undefined;
  declared: boolean;
}

export interface TopologyMap {
  /** Unix seconds. */
  start: number;
  end: number;
  entities: Entity[];
  edges: Edge[];
  warnings: string[];
}

/** A stretch of time, or the five minutes before a moment; milliseconds. */
export type MapTime = { startMs: number; endMs: number } | { atMs: number };

function timeParams(time: MapTime) {
  return 'atMs' in time ? { at: time.atMs / 1000 } : { start: time.startMs / 1000, end: time.endMs / 1000 };
}

const MAP = '/api/tyto/v1/topology';

/** The finest map; the page folds it by itself. */
export async function fetchMap(time: MapTime, signal: AbortSignal): Promise<TopologyMap> {
  return readMap(await getJson(MAP, { ...timeParams(time), level: 'component' }, { signal }));
}

export function readMap(json: unknown): TopologyMap {
  const fields = asRecord(json);
  return {
    start: asNumber(fields.start),
    end: asNumber(fields.end),
    entities: asArray(fields.entities, MAP, 'entities').map(readEntity),
    edges: asArray(fields.edges, MAP, 'edges').map(readEdge),
    warnings: texts(fields.warnings),
  };
}

function readEntity(entry: unknown): Entity {
  const fields = asRecord(entry);
  return {
    id: asText(fields.id),
    kind: asText(fields.kind) as EntityKind,
    name: asText(fields.name),
    businessService: asText(fields.business_service) || undefined,
    service: asText(fields.service) || undefined,
    parent: asText(fields.parent) || undefined,
    rate: asNumber(fields.requests_per_second ?? 0),
    errorRate: asNumber(fields.errors_per_second ?? 0),
    p95Seconds: number(fields.p95_seconds),
    firstSeen: number(fields.first_seen),
    lastSeen: number(fields.last_seen),
    declared: fields.declared === true,
  };
}

function readEdge(entry: unknown): Edge {
  const fields = asRecord(entry);
  return {
    from: asText(fields.from),
    to: asText(fields.to),
    kind: asText(fields.kind) as EdgeKind,
    rate: asNumber(fields.requests_per_second ?? 0),
    errorRate: asNumber(fields.errors_per_second ?? 0),
    p50Seconds: number(fields.p50_seconds),
    p95Seconds: number(fields.p95_seconds),
    firstSeen: number(fields.first_seen),
    lastSeen: number(fields.last_seen),
    declared: fields.declared === true,
  };
}

export interface Drift {
  calledNotDeclared: { from: string; to: string }[];
  /** Without `to`: a declared component of which nothing came. */
  declaredNeverSeen: { from: string; to: string | undefined }[];
  unknownCallers: { from: string; to: string }[];
  wrongOwner: { entity: string; what: string; seen: string; declared: string[] }[];
  componentsWithoutDependencies: number;
}

const DRIFT = '/api/tyto/v1/topology/drift';

export async function fetchDrift(time: MapTime, signal: AbortSignal): Promise<Drift> {
  const fields = asRecord(await getJson(DRIFT, timeParams(time), { signal }));
  const pairs = (name: string) =>
    asArray(fields[name], DRIFT, name).map((entry) => {
      const { from, to } = asRecord(entry);
      return { from: asText(from), to: asText(to) };
    });
  return {
    calledNotDeclared: pairs('called_not_declared'),
    declaredNeverSeen: pairs('declared_never_seen').map(({ from, to }) => ({ from, to: to || undefined })),
    unknownCallers: pairs('unknown_callers'),
    wrongOwner: asArray(fields.wrong_owner, DRIFT, 'wrong_owner').map((entry) => {
      const { entity, what, seen, declared } = asRecord(entry);
      return { entity: asText(entity), what: asText(what), seen: asText(seen), declared: texts(declared) };
    }),
    componentsWithoutDependencies: asNumber(fields.components_without_dependencies ?? 0),
  };
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(asText) : [];
}
