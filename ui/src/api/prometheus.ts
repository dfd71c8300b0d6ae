import { asArray, asLabels, asNumber, asRecord, asText, getJson, unreadable, type Params } from './client';
import { readHistogram, type HistogramPoint } from './histogram';
import { readStats, type Stats } from './stats';

export interface Series {
  labels: Record<string, string>;
  /** Unix seconds, ascending. */
  times: number[];
  /** A native histogram counts here with its count, so that it can be drawn as a line. */
  values: number[];
  histograms?: HistogramPoint[];
}

export interface Answer {
  series: Series[];
  warnings: string[];
  /** Remarks of the server on the query itself. */
  infos?: string[];
  stats?: Stats;
  /** Milliseconds until the whole answer was here. */
  tookMs?: number;
}

export interface Metric {
  name: string;
  type: string;
  help: string;
  /** As the sender named it: `seconds`, `s`, `By`, `{request}`; empty when it did not. */
  unit?: string;
}

/** Reads a `matrix`, `vector` or `scalar` of Prometheus's API; Loki's metric answers have the same form. */
export function readAnswer(json: unknown, path: string): Answer {
  const whole = asRecord(json);
  const data = asRecord(whole.data);
  const notes = { warnings: texts(whole.warnings), infos: texts(whole.infos), stats: readStats(data.stats) };
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    const [time, value] = asArray(data.result, path, 'data.result');
    return { series: [{ labels: {}, times: [asNumber(time)], values: [asNumber(value)] }], ...notes };
  }
  return { series: asArray(data.result, path, 'data.result').map((entry) => readSeries(entry, path)), ...notes };
}

function readSeries(entry: unknown, path: string): Series {
  const fields = asRecord(entry);
  const floats = fields.values ?? (fields.value ? [fields.value] : undefined);
  const complex = fields.histograms ?? (fields.histogram ? [fields.histogram] : undefined);
  const labels = asLabels(fields.metric);
  if (complex === undefined) {
    const points = asArray(floats, path, 'values') as [unknown, unknown][];
    return {
      labels,
      times: points.map(([time]) => asNumber(time)),
      values: points.map(([, value]) => asNumber(value)),
    };
  }
  const histograms = asArray(complex, path, 'histograms').map(readHistogram);
  // A series that changed its kind has points of both.
  const points = ((floats ?? []) as [unknown, unknown][]).map(
    ([time, value]) => [asNumber(time), asNumber(value)] as const,
  );
  const all = [...points, ...histograms.map(({ time, count }) => [time, count] as const)].sort(([a], [b]) => a - b);
  return { labels, times: all.map(([time]) => time), values: all.map(([, value]) => value), histograms };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(asText) : [];
}

export async function queryRange(
  query: string,
  start: number,
  end: number,
  step: number,
  signal: AbortSignal,
): Promise<Answer> {
  return timed('/api/v1/query_range', { query, start, end, step, stats: 'all' }, signal);
}

export async function queryInstant(query: string, time: number, signal: AbortSignal): Promise<Answer> {
  return timed('/api/v1/query', { query, time, stats: 'all' }, signal);
}

async function timed(path: string, params: Params, signal: AbortSignal): Promise<Answer> {
  const began = performance.now();
  const answer = readAnswer(await getJson(path, params, { signal }), path);
  return { ...answer, tookMs: performance.now() - began };
}

export async function metricNames(
  match: string | undefined,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<string[]> {
  const path = '/api/v1/label/__name__/values';
  const json = await getJson(path, { 'match[]': match, start, end }, { signal });
  return asArray(asRecord(json).data, path, 'data').map(asText);
}

export async function metadata(signal: AbortSignal): Promise<Map<string, Metric>> {
  const path = '/api/v1/metadata';
  const data = asRecord(await getJson(path, {}, { signal })).data;
  if (data === undefined) throw unreadable(path, 'data');
  const found = new Map<string, Metric>();
  for (const [name, entries] of Object.entries(asRecord(data))) {
    const first = asRecord(Array.isArray(entries) ? entries[0] : entries);
    found.set(name, { name, type: asText(first.type), help: asText(first.help), unit: asText(first.unit) });
  }
  return found;
}
