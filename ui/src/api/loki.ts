import { asArray, asLabels, asRecord, asText, getJson } from './client';
import { readAnswer, type Answer } from './prometheus';

export interface LogRow {
  /** Nanoseconds since the Unix epoch, as decimal text: a JavaScript number cannot hold them. */
  ns: string;
  line: string;
  /** Labels of the stream. */
  stream: Record<string, string>;
  /** Structured metadata of this record. */
  metadata: Record<string, string>;
  /** Labels that the query's parsers extracted. */
  parsed: Record<string, string>;
}

/** The server then keeps stream labels, structured metadata and parsed labels apart. */
const CATEGORIZE = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };

export function compareNs(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

export function rowKey(row: LogRow): string {
  return `${row.ns} ${JSON.stringify(row.stream)} ${JSON.stringify(row.metadata)} ${row.line}`;
}

export type Direction = 'backward' | 'forward';

/** Rows of all streams in one list: newest first, or oldest first where they were asked for forward. */
export function readStreams(json: unknown, path: string, direction: Direction = 'backward'): LogRow[] {
  const rows = readRows(asRecord(asRecord(json).data).result, path, 'data.result');
  return rows.sort((a, b) => (direction === 'forward' ? compareNs(a.ns, b.ns) : compareNs(b.ns, a.ns)));
}

/** The rows of each stream, in the order in which the server wrote them. */
export function readRows(streams: unknown, path: string, expected: string): LogRow[] {
  const rows: LogRow[] = [];
  for (const entry of asArray(streams, path, expected)) {
    const fields = asRecord(entry);
    const stream = asLabels(fields.stream);
    for (const value of asArray(fields.values, path, 'values')) {
      const [ns, line, extra] = value as [unknown, unknown, unknown];
      const categories = asRecord(extra);
      rows.push({
        ns: asText(ns),
        line: asText(line),
        stream,
        metadata: asLabels(categories.structuredMetadata),
        parsed: asLabels(categories.parsed),
      });
    }
  }
  return rows;
}

export interface LogRange {
  startNs: string;
  endNs: string;
}

/** Rows with `start <= time < end`, at most `limit` of them: the newest, or the oldest where they are asked for forward. */
export async function queryLogs(
  query: string,
  range: LogRange,
  limit: number,
  signal: AbortSignal,
  direction: Direction = 'backward',
): Promise<LogRow[]> {
  const path = '/loki/api/v1/query_range';
  const params = { query, start: range.startNs, end: range.endNs, limit, direction };
  return readStreams(await getJson(path, params, { signal, headers: CATEGORIZE }), path, direction);
}

export async function queryLogMetric(
  query: string,
  range: LogRange,
  stepSeconds: number,
  signal: AbortSignal,
): Promise<Answer> {
  const path = '/loki/api/v1/query_range';
  const params = { query, start: range.startNs, end: range.endNs, step: stepSeconds };
  return readAnswer(await getJson(path, params, { signal }), path);
}

export async function logLabels(range: LogRange, signal?: AbortSignal): Promise<string[]> {
  const path = '/loki/api/v1/labels';
  const json = asRecord(await getJson(path, { start: range.startNs, end: range.endNs }, { signal }));
  return json.data === undefined ? [] : asArray(json.data, path, 'data').map(asText);
}

export async function logLabelValues(name: string, range: LogRange, signal?: AbortSignal): Promise<string[]> {
  const path = `/loki/api/v1/label/${encodeURIComponent(name)}/values`;
  const json = asRecord(await getJson(path, { start: range.startNs, end: range.endNs }, { signal }));
  return json.data === undefined ? [] : asArray(json.data, path, 'data').map(asText);
}
