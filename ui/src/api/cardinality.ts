import { asArray, asNumber, asRecord, asText, getJson } from './client';

/** What one label brings to the series of one owner. */
export interface LabelCardinality {
  businessService: string;
  service: string;
  component: string;
  /** Names the owner of series that nobody has claimed. */
  job: string;
  label: string;
  /** Values of the last hour, and how many new ones are let in per hour. */
  values: number;
  valuesMax: number;
  overflows: boolean;
  replacedSeries: number;
}

export async function fetchCardinality(limit: number, signal: AbortSignal): Promise<LabelCardinality[]> {
  const path = '/api/tyto/v1/cardinality';
  const json = asRecord(await getJson(path, { limit }, { signal }));
  return asArray(json.labels, path, 'labels').map((entry) => {
    const fields = asRecord(entry);
    return {
      businessService: asText(fields.business_service),
      service: asText(fields.service),
      component: asText(fields.component),
      job: asText(fields.job),
      label: asText(fields.label),
      values: asNumber(fields.values),
      valuesMax: asNumber(fields.values_max),
      overflows: fields.overflows === true,
      replacedSeries: asNumber(fields.replaced_series ?? 0),
    };
  });
}

export interface Ranked {
  name: string;
  value: number;
}

/** Prometheus's picture of what is in memory. A list that the server does not give is undefined, not empty. */
export interface Tsdb {
  series: number | undefined;
  labelPairs: number | undefined;
  chunks: number | undefined;
  seriesByMetric: Ranked[] | undefined;
  valuesByLabel: Ranked[] | undefined;
  bytesByLabel: Ranked[] | undefined;
  seriesByPair: Ranked[] | undefined;
}

export async function fetchTsdb(limit: number, signal: AbortSignal): Promise<Tsdb> {
  return readTsdb(await getJson('/api/v1/status/tsdb', { limit }, { signal }));
}

export function readTsdb(json: unknown): Tsdb {
  const data = asRecord(asRecord(json).data);
  const head = asRecord(data.headStats);
  return {
    series: count(head.numSeries),
    labelPairs: count(head.numLabelPairs),
    chunks: count(head.chunkCount),
    seriesByMetric: ranking(data.seriesCountByMetricName),
    valuesByLabel: ranking(data.labelValueCountByLabelName),
    bytesByLabel: ranking(data.memoryInBytesByLabelName),
    seriesByPair: ranking(data.seriesCountByLabelValuePair),
  };
}

function ranking(value: unknown): Ranked[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value
    .map((entry) => ({ name: asText(asRecord(entry).name), value: asNumber(asRecord(entry).value) }))
    .filter((entry) => entry.name !== '' && Number.isFinite(entry.value))
    .sort((a, b) => b.value - a.value);
}

function count(value: unknown): number | undefined {
  const number = asNumber(value);
  return Number.isFinite(number) ? number : undefined;
}
