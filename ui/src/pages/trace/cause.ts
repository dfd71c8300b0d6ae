import type { Span } from '../../api/otlp';
import type { Node, TraceTree } from './tree';

/** Where the failure of a trace seems to have begun. */
export interface Cause {
  node: Node;
  /** The uppermost span to which the failure came, and how many failed on the way, both ends counted. */
  top: Node;
  steps: number;
  /** How many failed spans have none below them: the failures that may have nothing to do with each other. */
  places: number;
  message: string;
}

/**
 * Among the failed spans below which nothing failed, the one whose failure came furthest up, and of those the first that ended: a
 * failure that its caller swallowed hurt nobody.
 */
export function causeOf(tree: TraceTree): Cause | undefined {
  let best: Cause | undefined;
  let places = 0;
  for (const node of tree.order) {
    if (node.span.status !== 'error' || node.children.some(({ errorBelow }) => errorBelow)) continue;
    places++;
    let top = node;
    let steps = 1;
    while (top.parent?.span.status === 'error') {
      top = top.parent;
      steps++;
    }
    const wins = !best || top.depth < best.top.depth || (top.depth === best.top.depth && node.end < best.node.end);
    if (wins) best = { node, top, steps, places, message: messageOf(node.span) };
  }
  return best && { ...best, places };
}

/** What a failed span says of its failure. */
export function messageOf(span: Span): string {
  const exception = span.events.find(({ name }) => name === 'exception');
  const said = (fields: Span['attributes'], name: string) => fields.find(([key]) => key === name)?.[1] ?? '';
  const type = said(exception?.attributes ?? [], 'exception.type');
  const text = said(exception?.attributes ?? [], 'exception.message');
  const status = said(span.attributes, 'http.response.status_code') || said(span.attributes, 'http.status_code');
  const kind = said(span.attributes, 'error.type');
  const thrown = [type, text].filter(Boolean).join(': ');
  const code = status && status !== kind ? `status ${status}` : '';
  // The message of an exception is often told a second time as the span's own.
  const told = thrown.includes(span.statusMessage) ? '' : span.statusMessage;
  return [told, thrown, !told && !thrown && kind, code].filter(Boolean).join(' · ');
}
