// Apart from `edit.ts`, so that pages which only link to logs do not load LogQL's parser.

/** Every record has a business service; what nobody claims has `unassigned`. */
export const ALL_LOGS = '{business_service=~".+"}';

/** The business service of records that nobody claims. */
export const UNASSIGNED = 'unassigned';

/** A string of LogQL. */
export function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

export function ofBusinessService(name: string): string {
  return `{business_service=${quoted(name)}}`;
}
