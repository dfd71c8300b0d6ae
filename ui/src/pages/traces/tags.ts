import type { Address } from '../../app/address';

/** The search's `tags`: `key=value` pairs apart by spaces, values with spaces in quotes, as Tempo's search reads them. */
export function searchTags({ service, tags }: Address): string {
  const parts = [];
  if (service) parts.push(`service.name=${quoted(service)}`);
  if (tags?.trim()) parts.push(tags.trim());
  return parts.join(' ');
}

function quoted(value: string): string {
  return /[\s"=]/.test(value) ? JSON.stringify(value) : value;
}

/** A duration as the search reads it: `250ms`, `1.5s`. Undefined when it is none. */
export function readDuration(text: string): string | undefined {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)?\s*$/.exec(text);
  return found ? `${found[1]}${found[2] ?? 'ms'}` : undefined;
}
