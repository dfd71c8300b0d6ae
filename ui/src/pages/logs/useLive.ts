import { useEffect, useEffectEvent, useState } from 'react';
import { compareNs, queryLogs, rowKey, type LogRow } from '../../api/loki';
import { toNs } from '../../time/range';

const POLL_MS = 2000;
const POLL_ROWS_MAX = 1000;
const KEPT_ROWS_MAX = 5000;
/** How far each poll looks back behind the one before it, for rows that arrive late. */
const OVERLAP_MS = 15_000;

interface Live {
  rows: LogRow[];
  error: unknown;
  /** True when a poll brought as many rows as it may: older ones, back to the poll before it, may then be missing. */
  behind: boolean;
}

const NOTHING: Live = { rows: [], error: undefined, behind: false };

/**
 * While on, asks every two seconds for the rows since the range's end, and keeps the newest few thousand. A refresh by hand
 * (`manual` counts them) begins anew, with the page below up to date.
 */
export function useLive(on: boolean, query: string, endMs: number, manual: number): Live {
  const [state, setState] = useState({ key: '', live: NOTHING });
  const key = on ? `${manual} ${query}` : '';
  if (state.key !== key) setState({ key, live: NOTHING });

  const startMs = useEffectEvent(() => Math.min(endMs, Date.now()));
  const poll = useEffectEvent(async (sinceMs: number, signal: AbortSignal): Promise<boolean> => {
    const range = { startNs: toNs(sinceMs), endNs: toNs(Date.now() + 60_000) };
    try {
      const rows = await queryLogs(query, range, POLL_ROWS_MAX, signal);
      if (signal.aborted) return false;
      setState(({ key: asked, live }) => ({
        key: asked,
        live: {
          rows: addNew(live.rows, rows),
          error: undefined,
          behind: live.behind || rows.length >= POLL_ROWS_MAX,
        },
      }));
      return true;
    } catch (error) {
      if (!signal.aborted) setState((old) => ({ ...old, live: { ...old.live, error } }));
      return false;
    }
  });

  useEffect(() => {
    if (!on) return;
    const abort = new AbortController();
    // After a failure, a slow answer or a time in the background the next poll reaches back to the last that succeeded.
    let lastOkMs = startMs();
    let timer: ReturnType<typeof setTimeout>;
    // The next poll waits for the last one to end, so a slow server is not asked twice at once.
    const again = async () => {
      const askedMs = Date.now();
      if (!document.hidden && (await poll(lastOkMs - OVERLAP_MS, abort.signal))) lastOkMs = askedMs;
      if (!abort.signal.aborted) timer = setTimeout(() => void again(), POLL_MS);
    };
    void again();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [on, query, manual]);

  return state.live;
}

/** The kept rows with those of the poll that are not among them, newest first. */
export function addNew(kept: LogRow[], polled: LogRow[]): LogRow[] {
  const fresh = without(polled, kept);
  return fresh.length ? merged(fresh, kept).slice(0, KEPT_ROWS_MAX) : kept;
}

/** Live rows and those of the page below them as one list: polls look back, so that around the seam both hold the same rows. */
export function joined(live: LogRow[], shown: LogRow[]): LogRow[] {
  const oldest = live.at(-1)?.ns;
  if (oldest === undefined) return shown;
  const older = shown.findIndex((row) => compareNs(row.ns, oldest) < 0);
  const seam = older < 0 ? shown.length : older;
  return [...merged(live, without(shown.slice(0, seam), live)), ...shown.slice(seam)];
}

/** The rows that `known` does not hold. Of rows that are equal to the last letter, as many stay as are missing there. */
function without(rows: LogRow[], known: LogRow[]): LogRow[] {
  const newest = rows[0]?.ns;
  const oldest = rows.at(-1)?.ns;
  if (newest === undefined || oldest === undefined) return rows;
  const counts = new Map<string, number>();
  for (const row of known) {
    if (compareNs(row.ns, oldest) < 0) break;
    if (compareNs(row.ns, newest) > 0) continue;
    const key = rowKey(row);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return rows.filter((row) => {
    const key = rowKey(row);
    const count = counts.get(key) ?? 0;
    if (count > 0) counts.set(key, count - 1);
    return count === 0;
  });
}

function merged(a: LogRow[], b: LogRow[]): LogRow[] {
  return [...a, ...b].sort((left, right) => compareNs(right.ns, left.ns));
}
