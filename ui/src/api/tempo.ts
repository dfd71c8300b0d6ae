import { asArray, asNumber, asRecord, asText, getJson } from './client';
import { anyValue, readId, readTrace, type Span } from './otlp';

export interface ServiceCount {
  name: string;
  spans: number;
  errors: number;
}

/** A span that the query asked for, with the attributes that the query speaks of. */
export interface MatchedSpan {
  spanId: string;
  durationMs: number;
  attributes: [name: string, value: string][];
}

export interface TraceSummary {
  traceId: string;
  /** Of the root; empty while it has not arrived. */
  service: string;
  name: string;
  startMs: number;
  durationMs: number;
  spanCount: number | undefined;
  errorCount: number | undefined;
  /** Every service of the trace, the one with most spans first; empty when the server does not tell. */
  services: ServiceCount[];
  /** How many spans match the query, and some of them. */
  matched: number | undefined;
  spans: MatchedSpan[];
}

export interface TraceSearch {
  /** TraceQL; `{}` for every trace. */
  q: string;
  limit: number;
  start: number;
  end: number;
}

export interface FoundTraces {
  traces: TraceSummary[];
  /** What the server says it left out, in its own words or in ours; undefined when it looked at everything. */
  partial: string | undefined;
  /** True when there may be more that match than were given. */
  more: boolean;
}

const SEARCH = '/tempo/api/search';

export async function searchTraces(search: TraceSearch, signal: AbortSignal): Promise<FoundTraces> {
  const found = readFound(await getJson(SEARCH, { ...search, spss: 3 }, { signal }));
  return { ...found, more: found.traces.length >= search.limit };
}

/** Tempo leaves `traces` out of an answer that has none. */
export function readFound(json: unknown): FoundTraces {
  const fields = asRecord(json);
  const metrics = asRecord(fields.metrics);
  const traces = fields.traces === undefined && fields.metrics !== undefined ? [] : fields.traces;
  return {
    traces: asArray(traces, SEARCH, 'traces').map(readSummary),
    partial: partialOf(fields, metrics),
    more: false,
  };
}

function partialOf(fields: Record<string, unknown>, metrics: Record<string, unknown>): string | undefined {
  if (asText(fields.status).toUpperCase() === 'PARTIAL')
    return asText(fields.message) || 'The server says that this is only a part.';
  const done = count(metrics.completedJobs);
  const total = count(metrics.totalJobs);
  if (done !== undefined && total !== undefined && done < total)
    return `Only ${done} of ${total} parts of the store were searched.`;
  return undefined;
}

function readSummary(entry: unknown): TraceSummary {
  const fields = asRecord(entry);
  const services = Object.entries(asRecord(fields.serviceStats))
    .map(([name, stats]) => ({
      name,
      spans: count(asRecord(stats).spanCount) ?? 0,
      errors: count(asRecord(stats).errorCount) ?? 0,
    }))
    .sort((a, b) => b.spans - a.spans || a.name.localeCompare(b.name));
  const total = (part: 'spans' | 'errors') =>
    services.length ? services.reduce((sum, each) => sum + each[part], 0) : undefined;
  const sets = Array.isArray(fields.spanSets) ? fields.spanSets : fields.spanSet ? [fields.spanSet] : [];
  const matches = sets.map(asRecord);
  return {
    traceId: readId(asText(fields.traceID), 16) || asText(fields.traceID),
    service: rootText(fields.rootServiceName),
    name: asText(fields.rootTraceName),
    startMs: asNumber(fields.startTimeUnixNano) / 1e6,
    durationMs:
      fields.durationNanos === undefined ? asNumber(fields.durationMs ?? 0) : asNumber(fields.durationNanos) / 1e6,
    // Tyto may count for the whole trace, Tempo for each service of it.
    spanCount: count(fields.spanCount) ?? total('spans'),
    errorCount: count(fields.errorCount) ?? total('errors'),
    services,
    matched: matches.length ? matches.reduce((sum, set) => sum + (count(set.matched) ?? 0), 0) : undefined,
    spans: matches.flatMap((set) => (Array.isArray(set.spans) ? set.spans.map(readMatched) : [])),
  };
}

/** Tempo's words for a trace whose root is not there. */
function rootText(value: unknown): string {
  const text = asText(value);
  return text === '<root span not yet received>' ? '' : text;
}

function readMatched(entry: unknown): MatchedSpan {
  const fields = asRecord(entry);
  const attributes = Array.isArray(fields.attributes) ? fields.attributes.map(asRecord) : [];
  return {
    spanId: readId(asText(fields.spanID), 8),
    durationMs: asNumber(fields.durationNanos ?? 0) / 1e6,
    attributes: attributes.map(({ key, value }) => [asText(key), anyValue(value)]),
  };
}

function count(value: unknown): number | undefined {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : NaN;
  return Number.isFinite(number) ? number : undefined;
}

export interface TraceAnswer {
  spans: Span[];
  /** Set when the server holds more spans than it gave. */
  partial: string | undefined;
}

export async function fetchTrace(id: string, signal: AbortSignal): Promise<TraceAnswer> {
  const path = `/tempo/api/v2/traces/${encodeURIComponent(id)}`;
  const json = asRecord(await getJson(path, {}, { signal }));
  return { spans: readTrace(json, path), partial: partialOf(json, {}) };
}

/** The names that a query may ask for, as TraceQL writes them: `span.http.route`, `resource.service.name`, `kind`. */
export async function attributeNames(start: number, end: number, signal?: AbortSignal): Promise<string[]> {
  const path = '/tempo/api/v2/search/tags';
  const json = asRecord(await getJson(path, { start, end }, { signal }));
  return asArray(json.scopes, path, 'scopes')
    .map(asRecord)
    .flatMap(({ name, tags }) =>
      (Array.isArray(tags) ? tags.map(asText) : []).map((tag) =>
        name === 'intrinsic' ? tag : `${asText(name)}.${/^[\w.\-/]+$/.test(tag) ? tag : JSON.stringify(tag)}`,
      ),
    );
}

/** Values of a name as TraceQL writes it. */
export async function attributeValues(
  name: string,
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<{ type: string; value: string }[]> {
  const path = `/tempo/api/v2/search/tag/${encodeURIComponent(name)}/values`;
  const json = asRecord(await getJson(path, { start, end }, { signal }));
  return asArray(json.tagValues ?? [], path, 'tagValues').map((entry) => {
    const fields = asRecord(entry);
    return { type: asText(fields.type), value: asText(fields.value) };
  });
}
