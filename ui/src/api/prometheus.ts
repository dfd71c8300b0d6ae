import { asArray, asLabels, asNumber, asRecord, asText, getJson, unreadable } from './client';

export interface Series {
  labels: Record<string, string>;
  /** Unix seconds, ascending. */
  times: number[];
  values: number[];
}

export interface Answer {
  series: Series[];
  warnings: string[];
}

export interface Metric {
  name: string;
  type: string;
  help: string;
}

/** Reads a `matrix`, `vector` or `scalar` of Prometheus's API; Loki's metric answers have the same form. */
export function readAnswer(json: unknown, path: string): Answer {
  const data = asRecord(asRecord(json).data);
  const warnings = Array.isArray(asRecord(json).warnings) ? (asRecord(json).warnings as unknown[]).map(asText) : [];
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    const [time, value] = asArray(data.result, path, 'data.result');
    return { series: [{ labels: {}, times: [asNumber(time)], values: [asNumber(value)] }], warnings };
  }
  const series = asArray(data.result, path, 'data.result').map((entry) => {
    const fields = asRecord(entry);
    const points =
      fields.values ??
      fields.histograms ??
      (fields.value ? [fields.value] : fields.histogram ? [fields.histogram] : undefined);
    const times: number[] = [];
    const values: number[] = [];
    for (const point of asArray(points, path, 'values')) {
      const [time, value] = point as [unknown, unknown];
      times.push(asNumber(time));
      // A native histogram is drawn as its count: a chart of lines has no room for its buckets.
      values.push(value !== null && typeof value === 'object' ? asNumber(asRecord(value).count) : asNumber(value));
    }
    return { labels: asLabels(fields.metric), times, values };
  });
  return { series, warnings };
}

export async function queryRange(
  query: string,
  start: number,
  end: number,
  step: number,
  signal: AbortSignal,
): Promise<Answer> {
  const path = '/api/v1/query_range';
  return readAnswer(await getJson(path, { query, start, end, step }, { signal }), path);
}

export async function queryInstant(query: string, time: number, signal: AbortSignal): Promise<Answer> {
  const path = '/api/v1/query';
  return readAnswer(await getJson(path, { query, time }, { signal }), path);
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
    found.set(name, { name, type: asText(first.type), help: asText(first.help) });
  }
  return found;
}
