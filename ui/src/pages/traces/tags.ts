import type { Address } from '../../app/address';

/** The search's `tags`: `key=value` pairs apart by spaces, values with spaces in quotes, as Tempo's search reads them. */
export function searchTags({ service, tags }: Address): string {
  const parts = [];
  if (service) parts.push(tag('service.name', service));
  if (tags?.trim()) parts.push(tags.trim());
  return parts.join(' ');
}

/** One pair. In quotes a backslash makes the character after it plain. */
export function tag(name: string, value: string): string {
  return `${name}=${/^[^\s"=\\]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`}`;
}

/** A duration as the search reads it: `250ms`, `1.5s`. Undefined when it is none. */
export function readDuration(text: string): string | undefined {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)?\s*$/.exec(text);
  return found ? `${found[1]}${found[2] ?? 'ms'}` : undefined;
}
