import { asNumber, asRecord } from './client';

/** What an answer cost, as far as the server says; a figure that it does not give is undefined. */
export interface Stats {
  /** Seconds in the evaluator, and altogether. */
  evalSeconds: number | undefined;
  totalSeconds: number | undefined;
  /** Points looked at over all steps, and the most that were held at once. */
  samples: number | undefined;
  samplesPeak: number | undefined;
  scan: Scan | undefined;
}

export interface Scan {
  files: Part;
  rowGroups: Part;
  blocks: Part;
  bytes: number;
  /** Rows looked at in the lake and in memory, and those of them that the query wanted. */
  rowsLake: number;
  rowsHead: number;
  rowsWanted: number;
}

export interface Part {
  total: number;
  skipped: number;
}

export function readStats(value: unknown): Stats | undefined {
  if (value === null || typeof value !== 'object') return undefined;
  const fields = asRecord(value);
  const timings = asRecord(fields.timings);
  const samples = asRecord(fields.samples);
  return {
    evalSeconds: known(timings.evalTotalTime),
    totalSeconds: known(timings.execTotalTime),
    samples: known(samples.totalQueryableSamples),
    samplesPeak: known(samples.peakSamples),
    scan: fields.scan && typeof fields.scan === 'object' ? readScan(asRecord(fields.scan)) : undefined,
  };
}

function readScan(fields: Record<string, unknown>): Scan {
  const number = (name: string) => known(fields[name]) ?? 0;
  const part = (name: string) => ({ total: number(`${name}_total`), skipped: number(`${name}_skipped`) });
  return {
    files: part('files'),
    rowGroups: part('row_groups'),
    blocks: part('blocks'),
    bytes: number('bytes_scanned'),
    rowsLake: number('rows_scanned'),
    rowsHead: number('head_rows_scanned'),
    rowsWanted: number('rows_returned'),
  };
}

function known(value: unknown): number | undefined {
  const number = asNumber(value);
  return Number.isFinite(number) ? number : undefined;
}
