// Apart from `edit.ts`, so that pages which only link to logs do not load LogQL's parser.

/** Every record has a business service; what nobody claims has `unassigned`. */
export const ALL_LOGS = '{business_service=~".+"}';

/** The business service of records that nobody claims. */
export const UNASSIGNED = 'unassigned';

/** Errors and worse, for senders that give a number as well as for those that give only a word. */
export const ERRORS = '| severity_number >= 17 or severity_text=~"(?i)(err|fatal|crit).*"';

/** A string of LogQL. */
export function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

export function ofBusinessService(name: string): string {
  return `{business_service=${quoted(name)}}`;
}
