import type { LogRow } from '../../api/loki';
import { asRecord, quoteLongIntegers } from '../../api/client';
import { isoNs } from '../../format/time';

export interface Message {
  text: string;
  /** Further fields of a JSON line, as `name=value`. */
  rest: string;
}

const TEXT_FIELDS = ['message', 'msg', 'body', 'event'];
const KNOWN_FIELDS = new Set([...TEXT_FIELDS, 'level', 'severity', 'time', 'timestamp', 'ts', 'trace_id', 'span_id']);

export function jsonOf(line: string): Record<string, unknown> | undefined {
  if (!/^\s*\{/.test(line)) return undefined;
  try {
    return asRecord(JSON.parse(line));
  } catch {
    return undefined;
  }
}

/** A JSON line as a sentence and its fields; any other line as it is. The detail shows the line untouched. */
export function messageOf(line: string): Message {
  const json = jsonOf(quoteLongIntegers(line));
  if (!json) return { text: line, rest: '' };
  const name = TEXT_FIELDS.find((field) => typeof json[field] === 'string' && json[field] !== '');
  if (!name) return { text: line, rest: '' };
  const rest = Object.entries(json)
    .filter(([field]) => field !== name && !KNOWN_FIELDS.has(field))
    .map(([field, value]) => `${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return { text: String(json[name]), rest: rest.join(' ') };
}

export function serviceOf(row: LogRow): string {
  const { stream } = row;
  return (
    stream.component ?? stream.service_name ?? stream.app ?? stream.job ?? stream.service ?? stream.container ?? ''
  );
}

/** JSON over several lines and indented, with every other character as it came: nothing is read and written again. */
export function indented(json: string): string {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  const tokens = json.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{[]\s*[\]}]|[{}[\]:,]|[^\s"{}[\]:,]+/g) ?? [];
  return tokens
    .map((token) => {
      if (token === ':') return ': ';
      if (token === ',') return `,${line()}`;
      if (token === '{' || token === '[') {
        depth++;
        return token + line();
      }
      if (token !== '}' && token !== ']') return token;
      depth--;
      return line() + token;
    })
    .join('');
}

/** The trace this row belongs to, wherever its sender put the id. */
export function traceIdOf(row: LogRow): string | undefined {
  const json = jsonOf(row.line) ?? {};
  for (const fields of [row.metadata, row.parsed, row.stream, json]) {
    for (const name of ['trace_id', 'traceId', 'traceID', 'traceid']) {
      const value: unknown = (fields as Record<string, unknown>)[name];
      if (typeof value === 'string' && /^[0-9a-f]{16,32}$/i.test(value) && !/^0+$/.test(value))
        return value.toLowerCase();
    }
  }
  return undefined;
}

/** The text cut at each place where a searched text stands: odd pieces are the finds. */
export function cutAt(text: string, searched: RegExp[]): string[] {
  const finds = searched
    .flatMap((pattern) => [...text.matchAll(pattern)].map((find) => [find.index, find.index + find[0].length] as const))
    .sort(([a], [b]) => a - b);
  const pieces: string[] = [];
  let at = 0;
  for (const [from, to] of finds) {
    if (to <= at) continue;
    // Finds that overlap or touch are one.
    if (from <= at && pieces.length > 0) pieces[pieces.length - 1] += text.slice(at, to);
    else pieces.push(text.slice(at, from), text.slice(from, to));
    at = to;
  }
  return [...pieces, text.slice(at)];
}

/** The whole row as JSON that is indented; a line that is JSON stands in it as it came. */
export function rowJson(row: LogRow): string {
  const { ns, line, stream, metadata, parsed } = row;
  const body = jsonOf(line) === undefined ? JSON.stringify(line) : line;
  const parts = [`"time":${JSON.stringify(isoNs(ns))}`, `"line":${body}`];
  for (const [name, fields] of Object.entries({ stream, metadata, parsed }))
    if (Object.keys(fields).length) parts.push(`${JSON.stringify(name)}:${JSON.stringify(fields)}`);
  return indented(`{${parts.join(',')}}`);
}
