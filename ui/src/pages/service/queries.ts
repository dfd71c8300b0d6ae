import type { Entity } from '../../api/topology';
import { quoted } from '../logs/selector';
import { runSql } from '../../api/tyto';
import type { Operation } from '../map/calls';
import { queryInstant, type Answer } from '../../api/prometheus';
import { identityOf, selectorOf, unclaimed } from '../map/links';

export interface Red {
  rate: string;
  failed: string;
  p95: string;
}

/**
 * Requests and failures per second and p95 of what it served, from the map's own samples: they are of single minutes, and of all
 * spans, also of those that came late. What sends no spans itself is told of by its callers.
 */
export function redOf(entity: Entity, stepSeconds: number): Red {
  const own = identityOf(entity).length > 0;
  const seconds = own ? 'tyto_topology_component_seconds' : 'tyto_topology_edge_seconds';
  const errors = own ? 'tyto_topology_component_errors' : 'tyto_topology_edge_errors';
  const selector = own ? selectorOf(entity) : `{server=${quoted(entity.name)}, server_kind=${quoted(entity.kind)}}`;
  const sum = (metric: string) => `sum(sum_over_time(${metric}${selector}[${stepSeconds}s]))`;
  return {
    rate: `histogram_count(${sum(seconds)}) / ${stepSeconds}`,
    // Samples of failures are there only where something failed.
    failed: `${sum(errors)} / ${stepSeconds} or 0 * histogram_count(${sum(seconds)})`,
    p95: `histogram_quantile(0.95, ${sum(seconds)})`,
  };
}

const SERVED = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"';
const OPERATIONS_MAX = 10;

/** What is asked of it, from span metrics: those begin when Tyto does, and count no spans of long ago. */
export async function fetchTopOperations(
  entity: Entity,
  startMs: number,
  endMs: number,
  signal: AbortSignal,
): Promise<Operation[]> {
  const seconds = Math.max(60, Math.round((endMs - startMs) / 1000));
  const own = (more: string) => spanMetrics(entity, more);
  const [calls, failed, p95] = await Promise.all(
    [
      `topk(${OPERATIONS_MAX}, sum by (span_name) (increase(traces_spanmetrics_calls_total${own(SERVED)}[${seconds}s])))`,
      `sum by (span_name) (increase(traces_spanmetrics_calls_total${own(`${SERVED}, status_code="STATUS_CODE_ERROR"`)}[${seconds}s]))`,
      `histogram_quantile(0.95, sum by (le, span_name) (rate(traces_spanmetrics_latency_bucket${own(SERVED)}[${seconds}s])))`,
    ].map((query) => queryInstant(query, endMs / 1000, signal)),
  );
  const [fails, slow] = [bySpan(failed), bySpan(p95)];
  return [...bySpan(calls)]
    .map(([name, count]) => ({
      name,
      calls: count,
      failed: fails.get(name) ?? 0,
      p95Seconds: slow.get(name) ?? NaN,
    }))
    .filter((operation) => Math.round(operation.calls) > 0)
    .sort((a, b) => b.calls - a.calls || (a.name < b.name ? -1 : 1));
}

/** There the label `service` is `service.name`, so a service is the one of its components. */
function spanMetrics(entity: Entity, more: string): string {
  const parts = unclaimed(entity)
    ? [`service=${quoted(entity.name)}`]
    : identityOf(entity)
        .filter(([label]) => label !== 'service')
        .map(([label, value]) => `${label}=${quoted(value)}`);
  return `{${[...parts, more].join(', ')}}`;
}

function bySpan(answer: Answer | undefined): Map<string, number> {
  return new Map(answer?.series.map(({ labels, values }) => [labels.span_name ?? '', values[0] ?? NaN]));
}

export interface Version {
  component: string;
  version: string;
  environment: string;
  firstMs: number;
  lastMs: number;
}

const VERSIONS_MAX = 50;

/** Each version that its spans named, with the time from the first to the last of them; empty when they name none. */
export async function fetchVersions(
  entity: Entity,
  startNs: string,
  endNs: string,
  signal: AbortSignal,
): Promise<Version[]> {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  const owned = identityOf(entity).map(([column, value]) => `${column} = ${text(value)}`);
  const { rows } = await runSql(
    `SELECT coalesce(component, service_name), resource_attributes['service.version'], coalesce(environment, ''),
       min(start_time_unix_nano), max(start_time_unix_nano)
     FROM spans WHERE start_time_unix_nano >= ${startNs} AND start_time_unix_nano < ${endNs} AND ${owned.join(' AND ')}
       AND resource_attributes['service.version'] IS NOT NULL
     GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT ${VERSIONS_MAX}`,
    signal,
  );
  const ms = (ns: unknown) => Number(BigInt(String(ns)) / 1_000_000n);
  return rows.map(([component, version, environment, first, last]) => ({
    component: String(component),
    version: String(version),
    environment: String(environment),
    firstMs: ms(first),
    lastMs: ms(last),
  }));
}

export interface Deploy extends Version {
  before: string;
}

/** A version whose first span came after those of another of the same component: it was deployed. The newest first. */
export function deploysOf(versions: Version[]): Deploy[] {
  const sorted = [...versions].sort((a, b) => a.firstMs - b.firstMs);
  return sorted
    .flatMap((version, index) => {
      const before = sorted
        .slice(0, index)
        .filter((each) => each.component === version.component && each.environment === version.environment)
        .at(-1);
      return before ? [{ ...version, before: before.version }] : [];
    })
    .reverse();
}
