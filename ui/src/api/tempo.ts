import { asArray, asNumber, asRecord, asText, getJson } from './client';
import { readTrace, type Span } from './otlp';

export interface TraceSummary {
  traceId: string;
  service: string;
  name: string;
  startMs: number;
  durationMs: number;
  spanCount: number | undefined;
  errorCount: number | undefined;
}

export interface TraceSearch {
  tags: string;
  minDuration: string;
  maxDuration: string;
  limit: number;
  start: number;
  end: number;
}

export async function searchTraces(search: TraceSearch, signal: AbortSignal): Promise<TraceSummary[]> {
  const path = '/tempo/api/search';
  const json = asRecord(await getJson(path, { ...search }, { signal }));
  return asArray(json.traces, path, 'traces').map(readSummary);
}

function readSummary(entry: unknown): TraceSummary {
  const fields = asRecord(entry);
  const stats = Object.values(asRecord(fields.serviceStats)).map(asRecord);
  const total = (name: string) =>
    stats.reduce((sum, each) => sum + (typeof each[name] === 'number' ? each[name] : 0), 0);
  return {
    traceId: asText(fields.traceID),
    service: asText(fields.rootServiceName),
    name: asText(fields.rootTraceName),
    startMs: asNumber(fields.startTimeUnixNano) / 1e6,
    durationMs: asNumber(fields.durationMs ?? 0),
    // Tyto counts for the whole trace, Tempo for each service of it.
    spanCount: asCount(fields.spanCount) ?? (stats.length ? total('spanCount') : undefined),
    errorCount: asCount(fields.errorCount) ?? (stats.length ? total('errorCount') : undefined),
  };
}

function asCount(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

export async function fetchTrace(id: string, signal: AbortSignal): Promise<Span[]> {
  const path = `/tempo/api/v2/traces/${encodeURIComponent(id)}`;
  return readTrace(await getJson(path, {}, { signal }), path);
}
