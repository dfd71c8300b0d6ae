import { asArray, asLabels, asNumber, asRecord, asText, getJson } from './client';
import type { LogRange } from './loki';

export const CHANGES = ['new', 'grew', 'fell', 'vanished', 'steady'] as const;
export type Change = (typeof CHANGES)[number];

export interface Pattern {
  id: string;
  /** The text with `<_>` where rows differ, as LogQL's pattern filters take it. */
  pattern: string;
  example: string;
  services: string[];
  levels: Record<string, number>;
  count: number;
  /** In the time of the same length before. */
  countBefore: number;
  change: Change;
  firstSeenNs: string;
  lastSeenNs: string;
  /** Unix seconds and how many rows came then. */
  samples: [number, number][];
}

export interface Patterns {
  patterns: Pattern[];
  /** True when only a part of the rows was looked at: `lines` of them. */
  sampled: boolean;
  lines: number;
  linesBefore: number;
  /** How many there are, of which the list may hold a part. */
  found: number;
}

/** The patterns of the rows of a query, each with what changed against the time before. */
export async function fetchPatterns(query: string, range: LogRange, signal: AbortSignal): Promise<Patterns> {
  const path = '/api/tyto/v1/patterns';
  const params = { query, start: range.startNs, end: range.endNs, compare: 'previous' };
  const json = asRecord(await getJson(path, params, { signal }));
  const patterns = asArray(json.patterns, path, 'patterns').map(readPattern);
  return {
    patterns,
    sampled: json.sampled === true,
    lines: count(json.lines),
    linesBefore: count(json.lines_before),
    found: Math.max(count(json.patterns_found), patterns.length),
  };
}

function readPattern(entry: unknown): Pattern {
  const fields = asRecord(entry);
  const change = CHANGES.find((each) => each === fields.change) ?? 'steady';
  return {
    id: asText(fields.id),
    pattern: asText(fields.pattern),
    example: asText(fields.example),
    services: list(fields.services).map(asText),
    levels: Object.fromEntries(Object.entries(asLabels(fields.levels)).map(([level, text]) => [level, Number(text)])),
    count: count(fields.count),
    countBefore: count(fields.count_before),
    change,
    firstSeenNs: asText(fields.first_seen_unix_nano),
    lastSeenNs: asText(fields.last_seen_unix_nano),
    samples: list(fields.samples).map((sample) => {
      const [at, rows] = list(sample);
      return [asNumber(at), count(rows)];
    }),
  };
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function count(value: unknown): number {
  const number = asNumber(value ?? 0);
  return Number.isFinite(number) ? number : 0;
}
