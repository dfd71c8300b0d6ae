import { useEffect, useEffectEvent, useState } from 'react';
import { compareNs, queryLogs, rowKey, type LogRow } from '../../api/loki';
import { toNs } from '../../time/range';

const POLL_MS = 2000;
const POLL_ROWS_MAX = 1000;
const KEPT_ROWS_MAX = 5000;
/** How far each poll looks back, for rows that arrive late. */
const OVERLAP_MS = 15_000;

interface Live {
  rows: LogRow[];
  error: unknown;
  /** True when a poll brought as many rows as it may: rows between two polls may then be missing here. */
  behind: boolean;
}

const NOTHING: Live = { rows: [], error: undefined, behind: false };

/** While on, asks every two seconds for rows newer than those shown, and keeps the newest few thousand. */
export function useLive(on: boolean, query: string, shown: LogRow[]): Live {
  const [state, setState] = useState({ key: '', live: NOTHING });
  const key = on ? query : '';
  if (state.key !== key) setState({ key, live: NOTHING });

  const poll = useEffectEvent(async (startedMs: number, signal: AbortSignal) => {
    const nowMs = Date.now();
    const sinceMs = Math.max(startedMs, nowMs - POLL_MS - OVERLAP_MS);
    const range = { startNs: toNs(sinceMs), endNs: toNs(nowMs + 60_000) };
    try {
      const rows = await queryLogs(query, range, POLL_ROWS_MAX, signal);
      setState((old) => {
        const merged = addNew(old.live.rows, rows, shown);
        return {
          ...old,
          live: { rows: merged, error: undefined, behind: old.live.behind || rows.length >= POLL_ROWS_MAX },
        };
      });
    } catch (error) {
      if (!signal.aborted) setState((old) => ({ ...old, live: { ...old.live, error } }));
    }
  });

  useEffect(() => {
    if (!on) return;
    const abort = new AbortController();
    const startedMs = Date.now() - OVERLAP_MS;
    let timer: ReturnType<typeof setTimeout>;
    // The next poll waits for the last one to end, so a slow server is not asked twice at once.
    const again = async () => {
      if (!document.hidden) await poll(startedMs, abort.signal);
      if (!abort.signal.aborted) timer = setTimeout(() => void again(), POLL_MS);
    };
    void again();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [on, query]);

  return state.live;
}

/** The kept rows with those of the poll that neither they nor the rows already shown below hold, newest first. */
export function addNew(kept: LogRow[], polled: LogRow[], shown: LogRow[]): LogRow[] {
  const oldest = polled.at(-1)?.ns;
  if (oldest === undefined) return kept;
  const known = new Set<string>();
  for (const row of kept) if (compareNs(row.ns, oldest) >= 0) known.add(rowKey(row));
  for (const row of shown) {
    if (compareNs(row.ns, oldest) < 0) break;
    known.add(rowKey(row));
  }
  const fresh = polled.filter((row) => !known.has(rowKey(row)));
  if (fresh.length === 0) return kept;
  return [...fresh, ...kept].sort((a, b) => compareNs(b.ns, a.ns)).slice(0, KEPT_ROWS_MAX);
}
