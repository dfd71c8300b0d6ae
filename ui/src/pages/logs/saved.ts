import { asRecord, asText } from '../../api/client';
import type { Address } from '../../app/address';

/** A search with a name: what of the address makes it, without the time that it was made at. */
export interface Saved {
  name: string;
  /** `q`, `view`, `cols`, `order` and `wrap`, as the address has them. */
  words: Address;
  savedMs: number;
}

export const SAVED_KEY = 'tyto-log-searches';
const SAVED_MAX = 200;
const WORDS = ['q', 'view', 'cols', 'order', 'wrap'] as const;

export function wordsOf(address: Address): Address {
  return Object.fromEntries(WORDS.filter((word) => address[word]).map((word) => [word, address[word]]));
}

/** The words of a saved search for an address: what it does not say is taken out. */
export function addressOf(words: Address): Address {
  return Object.fromEntries(WORDS.map((word) => [word, words[word]]));
}

/** The list with this search in it, by name; one of that name is replaced. */
export function withSaved(list: Saved[], saved: Saved): Saved[] {
  return [...list.filter(({ name }) => name !== saved.name), saved]
    .sort((a, b) => a.name.localeCompare(b.name))
    .slice(0, SAVED_MAX);
}

export function printSaved(list: Saved[]): string {
  return `${JSON.stringify({ tyto_log_searches: 1, searches: list }, undefined, 2)}\n`;
}

/** The searches of a file that `printSaved` wrote; throws a sentence when it is something else. */
export function readSaved(text: string): Saved[] {
  let json: Record<string, unknown>;
  try {
    json = asRecord(JSON.parse(text));
  } catch {
    throw new Error('This file is not JSON.');
  }
  if (json.tyto_log_searches !== 1 || !Array.isArray(json.searches))
    throw new Error('This file has no saved searches of Tyto in it.');
  return json.searches.map((entry, index) => {
    const { name, words, savedMs } = asRecord(entry);
    if (typeof name !== 'string' || name.trim() === '' || typeof words !== 'object')
      throw new Error(`Search ${index + 1} of this file has no name, or says nothing.`);
    const texts = Object.entries(asRecord(words)).filter(([, value]) => typeof value === 'string');
    return {
      name: name.trim(),
      words: wordsOf(Object.fromEntries(texts.map(([word, value]) => [word, asText(value)]))),
      savedMs: typeof savedMs === 'number' ? savedMs : 0,
    };
  });
}
