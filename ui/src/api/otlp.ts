import { asArray, asRecord, asText, unreadable } from './client';

/** What a sender said a value is; `empty` for a value without one. */
export type AttributeType = 'string' | 'int' | 'double' | 'bool' | 'bytes' | 'array' | 'map' | 'empty';

/** The value as a person reads it, and its type beside it: `"404"` and `404` are not the same to a query. */
export type Attributes = [name: string, value: string, type: AttributeType][];

export interface SpanEvent {
  name: string;
  ns: bigint;
  attributes: Attributes;
}

export interface SpanLink {
  traceId: string;
  spanId: string;
  attributes: Attributes;
}

export interface Span {
  traceId: string;
  spanId: string;
  parentId: string;
  name: string;
  kind: string;
  service: string;
  startNs: bigint;
  endNs: bigint;
  status: 'unset' | 'ok' | 'error';
  statusMessage: string;
  scope: string;
  attributes: Attributes;
  /** The same array for all spans of a resource. */
  resource: Attributes;
  events: SpanEvent[];
  links: SpanLink[];
  /** How much its sender left out: attributes, events and links together. */
  dropped: number;
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];

/** The spans of an OTLP JSON trace, in both forms Tempo's API gives: `{trace:{resourceSpans}}` and `{batches}`. */
export function readTrace(json: unknown, path: string): Span[] {
  const body = asRecord(json);
  const inner = body.trace === undefined ? body : asRecord(body.trace);
  const resources = inner.resourceSpans ?? inner.batches;
  if (resources === undefined) throw unreadable(path, 'resourceSpans');
  const spans: Span[] = [];
  for (const entry of asArray(resources, path, 'resourceSpans')) {
    const resourceSpans = asRecord(entry);
    const resource = readAttributes(asRecord(resourceSpans.resource).attributes);
    const service = resource.find(([name]) => name === 'service.name')?.[1] ?? 'unknown';
    for (const scopeEntry of asArray(resourceSpans.scopeSpans ?? [], path, 'scopeSpans')) {
      const scopeSpans = asRecord(scopeEntry);
      const scope = asText(asRecord(scopeSpans.scope).name);
      for (const span of asArray(scopeSpans.spans ?? [], path, 'spans'))
        spans.push(readSpan(asRecord(span), service, scope, resource));
    }
  }
  return spans;
}

function readSpan(fields: Record<string, unknown>, service: string, scope: string, resource: Attributes): Span {
  const status = asRecord(fields.status);
  return {
    traceId: readId(asText(fields.traceId), 16),
    spanId: readId(asText(fields.spanId), 8),
    parentId: readId(asText(fields.parentSpanId), 8),
    name: asText(fields.name) || '(unnamed)',
    kind: readKind(fields.kind),
    service,
    startNs: readNs(fields.startTimeUnixNano),
    endNs: readNs(fields.endTimeUnixNano),
    status: readStatus(status.code),
    statusMessage: asText(status.message),
    scope,
    attributes: readAttributes(fields.attributes),
    resource,
    events: list(fields.events).map((event) => ({
      name: asText(event.name),
      ns: readNs(event.timeUnixNano),
      attributes: readAttributes(event.attributes),
    })),
    links: list(fields.links).map((link) => ({
      traceId: readId(asText(link.traceId), 16),
      spanId: readId(asText(link.spanId), 8),
      attributes: readAttributes(link.attributes),
    })),
    dropped: ['droppedAttributesCount', 'droppedEventsCount', 'droppedLinksCount'].reduce(
      (sum, name) => sum + (typeof fields[name] === 'number' ? fields[name] : 0),
      0,
    ),
  };
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(asRecord) : [];
}

/** OTLP's JSON says ids in hex, protobuf's plain JSON mapping says base64; both are met in the field. */
export function readId(text: string, bytes: number): string {
  if (/^0*$/.test(text)) return '';
  if (text.length === bytes * 2 && /^[0-9a-f]+$/i.test(text)) return text.toLowerCase();
  try {
    const raw = atob(text);
    const hex = Array.from(raw, (char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join('');
    return /^0*$/.test(hex) ? '' : hex;
  } catch {
    return text;
  }
}

function readNs(value: unknown): bigint {
  const text = asText(value);
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

function readKind(value: unknown): string {
  if (typeof value === 'number') return KINDS[value] ?? 'unspecified';
  return (
    asText(value)
      .replace(/^SPAN_KIND_/, '')
      .toLowerCase() || 'unspecified'
  );
}

function readStatus(value: unknown): Span['status'] {
  if (value === 2 || value === 'STATUS_CODE_ERROR') return 'error';
  return value === 1 || value === 'STATUS_CODE_OK' ? 'ok' : 'unset';
}

function readAttributes(value: unknown): Attributes {
  return list(value).map((attribute) => [asText(attribute.key), anyValue(attribute.value), typeOf(attribute.value)]);
}

const TYPES: Record<string, AttributeType> = {
  stringValue: 'string',
  intValue: 'int',
  doubleValue: 'double',
  boolValue: 'bool',
  bytesValue: 'bytes',
  arrayValue: 'array',
  kvlistValue: 'map',
};

function typeOf(value: unknown): AttributeType {
  const [name = ''] = Object.keys(asRecord(value));
  return TYPES[name] ?? 'empty';
}

/** An OTLP `AnyValue` as the text a person reads: nested values as JSON. */
export function anyValue(value: unknown): string {
  const plain = plainValue(value);
  return typeof plain === 'object' && plain !== null ? JSON.stringify(plain) : asText(plain);
}

function plainValue(value: unknown): unknown {
  const fields = asRecord(value);
  if ('arrayValue' in fields) return list(asRecord(fields.arrayValue).values).map(plainValue);
  if ('kvlistValue' in fields) {
    return Object.fromEntries(
      list(asRecord(fields.kvlistValue).values).map((pair) => [asText(pair.key), plainValue(pair.value)]),
    );
  }
  return fields.stringValue ?? fields.intValue ?? fields.doubleValue ?? fields.boolValue ?? fields.bytesValue ?? null;
}
