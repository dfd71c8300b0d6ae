import type { Attributes, Span } from '../../api/otlp';
import type { Node } from './tree';

/** Words that must all occur; a text in quotes counts as one word. */
export function wordsOf(text: string): string[] {
  return [...text.toLowerCase().matchAll(/"([^"]*)"?|\S+/g)].map((found) => found[1] ?? found[0]).filter(Boolean);
}

/** The spans that say all of these words anywhere: in service, name, attributes as `key=value`, events, messages or ids. */
export function findSpans(nodes: Node[], text: string): Node[] {
  const words = wordsOf(text);
  if (words.length === 0) return [];
  // Spans of one resource share it: it is written out once.
  const resources = new Map<Attributes, string>();
  return nodes.filter(({ span }) => {
    let resource = resources.get(span.resource);
    if (resource === undefined) resources.set(span.resource, (resource = fieldsText(span.resource)));
    const said = spanText(span);
    return words.every((word) => said.includes(word) || resource.includes(word));
  });
}

function spanText(span: Span): string {
  const events = span.events.map(({ name, attributes }) => `${name}\n${fieldsText(attributes)}`);
  const status = span.status === 'error' ? 'status=error' : '';
  return [
    ...[span.service, span.name, `kind=${span.kind}`, status, span.statusMessage.toLowerCase()],
    ...[span.spanId, span.scope, ...events],
  ]
    .join('\n')
    .toLowerCase()
    .concat('\n', fieldsText(span.attributes));
}

function fieldsText(attributes: Attributes): string {
  return attributes
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')
    .toLowerCase();
}

/** The one after (or before) a place, around the end. */
export function nextOf(nodes: Node[], from: number, backward = false): Node | undefined {
  const found = backward ? nodes.findLast(({ order }) => order < from) : nodes.find(({ order }) => order > from);
  return found ?? (backward ? nodes.at(-1) : nodes[0]);
}
