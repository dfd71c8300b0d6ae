import { asArray, asNumber, asRecord, asText, getJson } from './client';
import type { LogRange } from './loki';
import { readAnswer } from './prometheus';

/** A label of streams, or a field of rows, that the server found by itself. */
export interface Detected {
  name: string;
  /** How many values it has: of all streams for a label, among the rows that were looked at for a field. */
  cardinality: number;
  /** The parsers that bring it out of the line; empty for a label and for structured metadata. */
  parsers: string[];
}

/** What was looked at: the newest rows, and whether there are more than those. */
export interface Sample {
  lines: number;
  sampled: boolean;
}

const asked = (query: string, range: LogRange) => ({ query, start: range.startNs, end: range.endNs });

export async function detectedLabels(query: string, range: LogRange, signal: AbortSignal): Promise<Detected[]> {
  const path = '/loki/api/v1/detected_labels';
  const json = asRecord(await getJson(path, asked(query, range), { signal }));
  // Loki leaves the list out when there is nothing.
  return asArray(json.detectedLabels ?? [], path, 'detectedLabels').map((entry) => readDetected(entry, 'label'));
}

export async function detectedFields(
  query: string,
  range: LogRange,
  signal: AbortSignal,
): Promise<{ fields: Detected[]; sample: Sample }> {
  const path = '/loki/api/v1/detected_fields';
  const json = asRecord(await getJson(path, asked(query, range), { signal }));
  const fields = asArray(json.fields ?? [], path, 'fields').map((entry) => readDetected(entry, 'label'));
  return { fields, sample: readSample(json.tyto) };
}

/** The values of a field among the newest rows. */
export async function detectedValues(
  name: string,
  query: string,
  range: LogRange,
  limit: number,
  signal: AbortSignal,
): Promise<{ values: string[]; sample: Sample }> {
  const path = `/loki/api/v1/detected_field/${encodeURIComponent(name)}/values`;
  const json = asRecord(await getJson(path, { ...asked(query, range), limit }, { signal }));
  return { values: asArray(json.values ?? [], path, 'values').map(asText), sample: readSample(json.tyto) };
}

/** What a counting query answers at one instant: each value of the label with its count, most first. */
export async function countValues(
  query: string,
  name: string,
  atNs: string,
  signal: AbortSignal,
): Promise<{ value: string; count: number }[]> {
  const path = '/loki/api/v1/query';
  const answer = readAnswer(await getJson(path, { query, time: atNs }, { signal }), path);
  return answer.series
    .map(({ labels, values }) => ({ value: labels[name] ?? '', count: values.at(-1) ?? 0 }))
    .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value));
}

function readDetected(entry: unknown, key: string): Detected {
  const fields = asRecord(entry);
  const cardinality = asNumber(fields.cardinality);
  return {
    name: asText(fields[key]),
    cardinality: Number.isFinite(cardinality) ? cardinality : 0,
    parsers: Array.isArray(fields.parsers) ? fields.parsers.map(asText) : [],
  };
}

function readSample(value: unknown): Sample {
  const fields = asRecord(value);
  const lines = asNumber(fields.lines);
  // A server that does not say what it looked at is taken to have sampled, as Loki does.
  return { lines: Number.isFinite(lines) ? lines : 0, sampled: fields.sampled !== false };
}
