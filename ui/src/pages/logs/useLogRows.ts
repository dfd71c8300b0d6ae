import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { queryLogs, rowKey, type LogRow } from '../../api/loki';
import { toNs, type Range } from '../../time/range';

export const PAGE_ROWS = 500;
/** The most that Loki's API gives at once. */
const PAGE_ROWS_MAX = 5000;

interface Cursor {
  endNs: string;
  /** Grows when a page brought nothing new, because more rows than a page share one instant. */
  limit: number;
}

interface Page {
  rows: LogRow[];
  cursor: Cursor;
}

/** Rows of the range, newest first, a page at a time. Pages overlap by one instant, so none is lost where rows share it. */
export function useLogRows(query: string, range: Range, manual: number, enabled: boolean) {
  const startNs = toNs(range.startMs);
  const endNs = toNs(range.endMs);
  const answer = useInfiniteQuery({
    queryKey: ['logs', query, startNs, endNs, manual],
    enabled,
    initialPageParam: { endNs, limit: PAGE_ROWS } as Cursor,
    queryFn: async ({ pageParam, signal }): Promise<Page> => ({
      rows: await queryLogs(query, { startNs, endNs: pageParam.endNs }, pageParam.limit, signal),
      cursor: pageParam,
    }),
    getNextPageParam: nextCursor,
    // A refresh moves the range: the rows before it stay in sight until the new ones are here.
    placeholderData: (old, asked) => (asked?.queryKey[1] === query ? old : undefined),
  });
  const rows = useMemo(() => mergePages(answer.data?.pages.map((page) => page.rows) ?? []), [answer.data]);
  return { answer, rows };
}

/** Where the next older page ends; undefined when there is none. */
export function nextCursor({ rows, cursor }: Page): Cursor | undefined {
  const oldest = rows.at(-1);
  if (!oldest || rows.length < cursor.limit) return undefined;
  const next = (BigInt(oldest.ns) + 1n).toString();
  if (next !== cursor.endNs) return { endNs: next, limit: PAGE_ROWS };
  if (cursor.limit < PAGE_ROWS_MAX) return { endNs: next, limit: Math.min(PAGE_ROWS_MAX, cursor.limit * 4) };
  // More rows share this instant than can be asked for at once: only behind it does the list go on.
  return { endNs: oldest.ns, limit: PAGE_ROWS };
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
