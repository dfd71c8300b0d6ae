import type { Attributes, Span } from '../../api/otlp';
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
    const call = wholeCall(node);
    let top = call;
    let steps = 1;
    while (top.parent?.span.status === 'error') {
      top = top.parent;
      steps++;
    }
    const wins = !best || top.depth < best.top.depth || (top.depth === best.top.depth && call.end < best.node.end);
    if (wins) best = { node: call, top, steps, places, message: messageOf(call.span) };
  }
  return best && { ...best, places };
}

/** Below the span of an AWS SDK lies one of HTTP, of the same service: both are one call, and the outer says what it was. */
function wholeCall(node: Node): Node {
  const { parent, span } = node;
  const isLayer =
    parent?.span.status === 'error' &&
    [span.kind, parent.span.kind].every((kind) => kind === 'client') &&
    parent.span.service === span.service;
  return isLayer ? wholeCall(parent) : node;
}

const said = (fields: Attributes, name: string) => fields.find(([key]) => key === name)?.[1] ?? '';

/** Of HTTP, and of what is asked over it; empty where the span says none. */
export function httpStatus({ attributes }: Span): string {
  return said(attributes, 'http.response.status_code') || said(attributes, 'http.status_code');
}

/** What a failed span says of its failure. */
export function messageOf(span: Span): string {
  const exception = span.events.find(({ name }) => name === 'exception');
  const type = said(exception?.attributes ?? [], 'exception.type');
  const text = said(exception?.attributes ?? [], 'exception.message');
  const status = httpStatus(span);
  const kind = said(span.attributes, 'error.type');
  const thrown = [type, text].filter(Boolean).join(': ');
  const code = status && status !== kind ? `status ${status}` : '';
  // The message of an exception is often told a second time as the span's own.
  const told = thrown.includes(span.statusMessage) ? '' : span.statusMessage;
  return [told, thrown, !told && !thrown && kind, code].filter(Boolean).join(' · ');
}
