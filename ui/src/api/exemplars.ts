import { asArray, asLabels, asNumber, asRecord, getJson } from './client';

/** One measured event of a metric, with the trace it belongs to. */
export interface Exemplar {
  /** Unix seconds. */
  time: number;
  value: number;
  traceId: string;
  spanId: string | undefined;
  /** The labels of its series and its own. */
  labels: Record<string, string>;
}

export async function queryExemplars(
  query: string,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Exemplar[]> {
  const path = '/api/v1/query_exemplars';
  return readExemplars(await getJson(path, { query, start, end }, { signal }), path);
}

/** Those that name a trace, in order of time; senders write the id under several names. */
export function readExemplars(json: unknown, path: string): Exemplar[] {
  const found = asArray(asRecord(json).data, path, 'data').flatMap((entry) => {
    const series = asRecord(entry);
    const shared = asLabels(series.seriesLabels);
    return asArray(series.exemplars, path, 'exemplars').map((each): Exemplar => {
      const fields = asRecord(each);
      const own = asLabels(fields.labels);
      return {
        time: asNumber(fields.timestamp),
        value: asNumber(fields.value),
        traceId: own.trace_id ?? own.traceID ?? own.traceId ?? '',
        spanId: own.span_id ?? own.spanID ?? own.spanId,
        labels: { ...shared, ...own },
      };
    });
  });
  return found
    .filter((each) => /^[0-9a-fA-F]{1,32}$/.test(each.traceId) && Number.isFinite(each.value))
    .sort((a, b) => a.time - b.time);
}
