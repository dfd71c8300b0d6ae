import { rowKey, type LogRow } from '../../api/loki';
import { printAddress, type Address } from '../../app/address';
import { nsToMs } from '../../format/time';
import type { Range } from '../../time/range';

/** What a link to one row shows of the time around it. */
const AROUND_MS = 5 * 60_000;

/** A row as a link names it: its instant, and a number from all of it for those that share the instant. */
export function rowWord(row: LogRow): string {
  let hash = 2166136261;
  for (const char of rowKey(row)) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  return `${row.ns}.${(hash >>> 0).toString(36)}`;
}

/** The row that a link names, if it is among these. */
export function rowOfWord(rows: LogRow[], word: string): LogRow | undefined {
  const ns = word.split('.')[0];
  return rows.find((row) => row.ns === ns && rowWord(row) === word);
}

const absolute = (address: Address) => `${window.location.origin}/logs${printAddress({ ...address })}`;

/** A link that shows this row opened, with the same search and a few minutes around it. The row is the first of its list. */
export function linkToRow(row: LogRow, address: Address): string {
  const ms = nsToMs(row.ns);
  return absolute({
    ...address,
    refresh: undefined,
    live: undefined,
    view: undefined,
    order: undefined,
    from: `${Math.floor(ms - AROUND_MS)}`,
    to: `${Math.floor(ms) + 1}`,
    line: rowWord(row),
  });
}

/** A link to what shows now: with its times as they are, which move on where they are relative, or held still. */
export function linkToPage(address: Address, still: Range | undefined): string {
  if (!still) return absolute(address);
  return absolute({
    ...address,
    refresh: undefined,
    live: undefined,
    from: `${Math.floor(still.startMs)}`,
    to: `${Math.ceil(still.endMs)}`,
  });
}
