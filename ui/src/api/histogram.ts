import { asNumber, asRecord } from './client';

/** What a native histogram held at one time. */
export interface HistogramPoint {
  /** Unix seconds. */
  time: number;
  count: number;
  sum: number;
  /** Lower edge, upper edge and count of each bucket that is not empty, ascending. */
  buckets: [low: number, high: number, count: number][];
}

/** `[time, {count, sum, buckets: [[rule, low, high, count], …]}]`, as Prometheus's API writes it. */
export function readHistogram(point: unknown): HistogramPoint {
  const [time, value] = Array.isArray(point) ? (point as unknown[]) : [];
  const fields = asRecord(value);
  const buckets = Array.isArray(fields.buckets) ? (fields.buckets as unknown[]) : [];
  return {
    time: asNumber(time),
    count: asNumber(fields.count),
    sum: asNumber(fields.sum),
    buckets: buckets
      .map((bucket): [number, number, number] => {
        const [, low, high, count] = Array.isArray(bucket) ? (bucket as unknown[]) : [];
        return [asNumber(low), asNumber(high), asNumber(count)];
      })
      .filter(([low, high, count]) => low <= high && Number.isFinite(count)),
  };
}
