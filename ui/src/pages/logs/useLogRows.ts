import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef } from 'react';
import { queryLogs, rowKey, type Direction, type LogRow } from '../../api/loki';
import { toNs, type Range } from '../../time/range';

export const PAGE_ROWS = 500;
/** The most that Loki's API gives at once. */
const PAGE_ROWS_MAX = 5000;

interface Cursor {
  /** Where the next page begins: its end when the newest come first, else its start. */
  atNs: string;
  /** Grows when a page brought nothing new, because more rows than a page share one instant. */
  limit: number;
}

interface Page {
  rows: LogRow[];
  cursor: Cursor;
  direction: Direction;
}

/** Rows of the range, a page at a time. Pages overlap by one instant, so none is lost where rows share it. */
export function useLogRows(query: string, range: Range, direction: Direction, manual: number, enabled: boolean) {
  const startNs = toNs(range.startMs);
  const endNs = toNs(range.endMs);
  const back = direction === 'backward';
  const answer = useInfiniteQuery({
    queryKey: ['logs', query, direction, startNs, endNs, manual],
    enabled,
    initialPageParam: { atNs: back ? endNs : startNs, limit: PAGE_ROWS } as Cursor,
    queryFn: async ({ pageParam: cursor, signal }): Promise<Page> => {
      const asked = back ? { startNs, endNs: cursor.atNs } : { startNs: cursor.atNs, endNs };
      return { rows: await queryLogs(query, asked, cursor.limit, signal, direction), cursor, direction };
    },
    getNextPageParam: nextCursor,
    // A refresh moves the range: the rows before it stay in sight until the new ones are here.
    placeholderData: (old, asked) =>
      asked?.queryKey[1] === query && asked.queryKey[2] === direction ? old : undefined,
  });
  const merged = useMemo(() => mergePages(answer.data?.pages.map((page) => page.rows) ?? []), [answer.data]);
  return { answer, rows: useSame(merged) };
}

/** Where the next page begins; undefined when there is none. */
export function nextCursor({ rows, cursor, direction }: Page): Cursor | undefined {
  const last = rows.at(-1);
  if (!last || rows.length < cursor.limit) return undefined;
  const back = direction === 'backward';
  // The end of a range is not part of it, its start is.
  const again = back ? (BigInt(last.ns) + 1n).toString() : last.ns;
  if (again !== cursor.atNs) return { atNs: again, limit: PAGE_ROWS };
  if (cursor.limit < PAGE_ROWS_MAX) return { atNs: again, limit: Math.min(PAGE_ROWS_MAX, cursor.limit * 4) };
  // More rows share this instant than can be asked for at once: only behind it does the list go on.
  return { atNs: back ? last.ns : (BigInt(last.ns) + 1n).toString(), limit: PAGE_ROWS };
}

/** All pages in one list without the rows that two neighbouring pages both hold; equal rows within one page all stay. */
export function mergePages(pages: LogRow[][]): LogRow[] {
  const merged: LogRow[] = [];
  for (const page of pages) {
    const boundary = merged.at(-1)?.ns;
    const seen = new Map<string, number>();
    for (let at = merged.length - 1; at >= 0 && merged[at]?.ns === boundary; at--) {
      const key = rowKey(merged[at] as LogRow);
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    for (const row of page) {
      const known = row.ns === boundary ? (seen.get(rowKey(row)) ?? 0) : 0;
      if (known > 0) seen.set(rowKey(row), known - 1);
      else merged.push(row);
    }
  }
  return merged;
}

/** The same rows as the same objects after a refresh, so that what is open, focused or being read stays so. */
function useSame(rows: LogRow[]): LogRow[] {
  const before = useRef<LogRow[]>([]);
  const same = useMemo(() => withSame(rows, before.current), [rows]);
  useEffect(() => {
    // While another query is awaited there are none: what was open may be among its rows, too.
    if (same.length) before.current = same;
  }, [same]);
  return same;
}

export function withSame(rows: LogRow[], before: LogRow[]): LogRow[] {
  if (before.length === 0 || rows.length === 0 || rows[0] === before[0]) return rows;
  const known = new Map<string, LogRow[]>();
  for (const row of before) {
    const at = known.get(row.ns);
    if (at) at.push(row);
    else known.set(row.ns, [row]);
  }
  return rows.map((row) => {
    const at = known.get(row.ns);
    const key = at && rowKey(row);
    const index = at?.findIndex((each) => rowKey(each) === key) ?? -1;
    return (index >= 0 ? at?.splice(index, 1)[0] : undefined) ?? row;
  });
}
