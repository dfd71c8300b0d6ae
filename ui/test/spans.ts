import type { Span } from '../src/api/otlp';

/** A span of whole milliseconds. */
export const ms = (spanId: string, parentId: string, start: number, end: number, more: Partial<Span> = {}): Span => ({
  ...{ traceId: 't', spanId, parentId, name: spanId, kind: 'internal', service: 's', scope: '', dropped: 0 },
  startNs: BigInt(start) * 1_000_000n,
  endNs: BigInt(end) * 1_000_000n,
  ...{ status: 'unset', statusMessage: '', attributes: [], resource: [], events: [], links: [] },
  ...more,
});
