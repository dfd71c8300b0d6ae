import type { Entity } from '../../api/topology';
import { runSql } from '../../api/tyto';
import { unclaimed } from './links';

/** One thing that is asked of a node over a line. */
export interface Operation {
  name: string;
  calls: number;
  failed: number;
  p95Seconds: number;
}

export interface Call {
  traceId: string;
  spanId: string;
  name: string;
  atMs: number;
  seconds: number;
  failed: boolean;
  /** `404 ResourceNotFoundException`: what the span says of its end; empty when it says nothing. */
  outcome: string;
}

const OPERATIONS_MAX = 8;
const CALLS_MAX = 6;

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function ownedBy(entity: Entity, table: string): string {
  const column = (name: string) => `${table}.${name}`;
  if (entity.kind === 'business_service') return `${column('business_service')} = ${text(entity.name)}`;
  const place = `${column('business_service')} = ${text(entity.businessService ?? '')}`;
  if (entity.kind === 'service') return `${place} AND ${column('service')} = ${text(entity.name)}`;
  if (unclaimed(entity))
    return `(${column('component')} = ${text(entity.name)} OR ${column('service_name')} = ${text(entity.name)})`;
  return `${place} AND ${column('component')} = ${text(entity.name)}`;
}

/** Attributes that may name a database or what is outside, as `docs/topology.md` lists them. */
const NAMED_BY = [
  'peer.service',
  'service.peer.name',
  'server.address',
  'net.peer.name',
  'http.host',
  'network.peer.address',
  'net.peer.ip',
  'db.namespace',
  'db.name',
  'db.system',
  'db.system.name',
  'rpc.service',
];
const DATABASE_BY = ['db.system.name', 'db.system', 'db.namespace', 'db.name'];
const AWS = '.amazonaws.com';

const attribute = (key: string) => `c.attributes[${text(key)}]`;
const anyOf = (keys: string[]) => `coalesce(${keys.map(attribute).join(', ')})`;

/** What a caller's span says that makes it one of a call of this name. */
function naming(name: string): string {
  const quoted = text(name);
  const said = NAMED_BY.map((key) => `${attribute(key)} = ${quoted}`);
  said.push(`concat(${attribute('network.peer.address')}, ':', ${attribute('network.peer.port')}) = ${quoted}`);
  const authority = `split_part(split_part(${anyOf(['url.full', 'http.url'])}, '://', 2), '/', 1)`;
  said.push(`split_part(${authority}, ':', 1) = ${quoted}`);
  if (name.endsWith(AWS)) {
    const service = `coalesce(${attribute('rpc.service')}, split_part(${attribute('rpc.method')}, '/', 1))`;
    const letters = `lower(regexp_replace(${service}, '[^A-Za-z0-9]', '', 'g'))`;
    said.push(
      `(${anyOf(['rpc.system', 'rpc.system.name'])} = 'aws-api' AND ${letters} = ${text(name.slice(0, -AWS.length))})`,
    );
  }
  return `(${said.join(' OR ')})`;
}

const OPERATION = anyOf(['messaging.operation.type', 'messaging.operation', 'messaging.operation.name', 'rpc.method']);

/** Spans that send to a queue, and those that take from it: most are a producer's or a consumer's, some SDKs say they are a client's. */
function exchange(queue: Entity, kind: 'producer' | 'consumer', inTime: string): string {
  const destination = `${anyOf(['messaging.destination.name', 'messaging.destination'])} = ${text(queue.name)}`;
  const verbs = kind === 'producer' ? '^(send|publish)' : '^(receive|poll)';
  // Below a producer's span the client's only carries its message.
  const alone = `NOT EXISTS (SELECT 1 FROM spans p WHERE ${inTime} AND p.trace_id = c.trace_id AND p.span_id = c.parent_span_id AND p.kind = 'producer')`;
  const client = `c.kind = 'client' AND regexp_like(lower(${OPERATION}), '${verbs}') AND ${alone}`;
  const some = `coalesce(${attribute('messaging.batch.message_count')}, '1') <> '0'`;
  return `(c.kind = '${kind}' OR ${client}) AND ${destination} AND ${some}`;
}

/**
 * The spans behind a line, as its caller saw them: `c` is the caller's span, or the only one. Undefined where a line has none,
 * because it is only declared.
 */
export function spansBetween(from: Entity, to: Entity, startNs: string, endNs: string): string {
  const within = (table: string) =>
    `${table}.start_time_unix_nano >= ${startNs} AND ${table}.start_time_unix_nano < ${endNs}`;
  const alone = (where: string) => `spans c WHERE ${within('c')} AND ${where}`;
  if (to.kind === 'queue') return alone(`${ownedBy(from, 'c')} AND ${exchange(to, 'producer', within('p'))}`);
  if (from.kind === 'queue') return alone(`${ownedBy(to, 'c')} AND ${exchange(from, 'consumer', within('p'))}`);
  if (to.kind === 'database' || to.kind === 'external') {
    const isDatabase = `${anyOf(DATABASE_BY)} IS ${to.kind === 'database' ? 'NOT ' : ''}NULL`;
    return alone(`c.kind = 'client' AND ${ownedBy(from, 'c')} AND ${isDatabase} AND ${naming(to.name)}`);
  }
  if (from.kind === 'user') {
    const root = `(c.parent_span_id IS NULL OR c.parent_span_id = '')`;
    return alone(`c.kind = 'server' AND ${root} AND ${ownedBy(to, 'c')}`);
  }
  const server = `s.kind = 'server' AND ${ownedBy(to, 's')}`;
  return `spans c JOIN spans s ON s.trace_id = c.trace_id AND s.parent_span_id = c.span_id
    WHERE ${within('c')} AND s.start_time_unix_nano >= ${startNs} AND c.kind = 'client' AND ${ownedBy(from, 'c')} AND ${server}`;
}

/** A database call's name says what is done, not with what. Of several tables, which come as a list in JSON, the first. */
const TABLE = `coalesce(${attribute('db.collection.name')}, nullif(split_part(${attribute('aws.dynamodb.table_names')}, '"', 4), ''))`;
const NAME = `concat(c.name, coalesce(' on ' || ${TABLE}, ''))`;
const FAILED = `c.status_code = 'error'`;

export async function fetchOperations(spans: string, signal: AbortSignal): Promise<Operation[]> {
  const { rows } = await runSql(
    `SELECT ${NAME} AS name, count(*) AS calls, count(*) FILTER (WHERE ${FAILED}) AS failed,
       approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY c.duration_nano) AS p95
     FROM ${spans} GROUP BY 1 ORDER BY failed DESC, calls DESC, name LIMIT ${OPERATIONS_MAX}`,
    signal,
  );
  return rows.map(([name, calls, failed, p95]) => ({
    name: String(name),
    calls: Number(calls),
    failed: Number(failed),
    p95Seconds: Number(p95) / 1e9,
  }));
}

/** The newest that failed; the slowest where none did. */
export async function fetchCalls(spans: string, failed: boolean, signal: AbortSignal): Promise<Call[]> {
  const status = anyOf(['http.response.status_code', 'http.status_code', 'rpc.grpc.status_code']);
  const { rows } = await runSql(
    `SELECT c.trace_id, c.span_id, ${NAME} AS name, c.start_time_unix_nano, c.duration_nano, ${FAILED} AS failed,
       ${status} AS status, ${attribute('error.type')} AS error, c.status_message
     FROM ${spans}${failed ? ` AND ${FAILED}` : ''}
     ORDER BY ${failed ? 'c.start_time_unix_nano' : 'c.duration_nano'} DESC LIMIT ${CALLS_MAX}`,
    signal,
  );
  return rows.map(([traceId, spanId, name, start, duration, hasFailed, code, error, message]) => ({
    traceId: String(traceId),
    spanId: String(spanId),
    name: String(name),
    atMs: Number(BigInt(String(start)) / 1_000_000n),
    seconds: Number(duration) / 1e9,
    failed: hasFailed === true || hasFailed === 'true',
    outcome: outcomeOf([code, error, message].map((value) => (value == null ? '' : String(value)))),
  }));
}

/** What is said twice is said once. */
export function outcomeOf([code = '', error = '', message = '']: string[]): string {
  const words = [code, error === code ? '' : error];
  if (!words.includes(message) && !(error && message.includes(error) && message.length > 60)) words.push(message);
  return words.filter(Boolean).join(' · ');
}
