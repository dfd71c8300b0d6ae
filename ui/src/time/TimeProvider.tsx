import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useState, type ReactNode } from 'react';
import { useAddress } from '../app/address';
import { TimeContext, REFRESH_SECONDS, type TimeState } from './useTime';
import { DEFAULT_RANGE, resolveRange, type RangeText } from './range';

const BACK_MAX = 50;

export function TimeProvider({ children }: { children: ReactNode }) {
  const [address, setAddress] = useAddress();
  const from = address.from ?? DEFAULT_RANGE.from;
  const to = address.to ?? DEFAULT_RANGE.to;
  const everySeconds = REFRESH_SECONDS.find((seconds) => `${seconds}` === address.refresh) ?? 0;
  const queries = useQueryClient();
  const [anchor, setAnchor] = useState({ key: `${from} ${to}`, nowMs: Date.now(), manual: 0 });
  const [earlier, setEarlier] = useState<RangeText[]>([]);

  // "now" stands still between refreshes: everything on a page is about the same moment.
  if (anchor.key !== `${from} ${to}`) setAnchor({ ...anchor, key: `${from} ${to}`, nowMs: Date.now() });

  const refresh = useCallback(() => {
    setAnchor((old) => ({ ...old, nowMs: Date.now(), manual: old.manual + 1 }));
  }, []);

  useEffect(() => {
    if (!everySeconds) return;
    const timer = setInterval(() => {
      // A new moment makes new queries: while one runs that takes longer than the interval, it would never end.
      if (document.hidden || queries.isFetching() > 0) return;
      setAnchor((old) => ({ ...old, nowMs: Date.now() }));
    }, everySeconds * 1000);
    return () => {
      clearInterval(timer);
    };
  }, [everySeconds, queries]);

  const setRange = useCallback(
    (next: RangeText) => {
      setEarlier((old) => [...old.slice(-BACK_MAX), { from, to }]);
      setAddress({ ...next });
    },
    [from, to, setAddress],
  );

  const back = useCallback(() => {
    const last = earlier.at(-1);
    if (!last) return;
    setEarlier(earlier.slice(0, -1));
    setAddress({ ...last });
  }, [earlier, setAddress]);

  const setEvery = useCallback(
    (seconds: number) => {
      setAddress({ refresh: seconds ? `${seconds}` : undefined }, { replace: true });
    },
    [setAddress],
  );

  const state = useMemo<TimeState>(() => {
    const text = { from, to };
    const range = resolveRange(text, anchor.nowMs);
    return {
      text,
      valid: range !== undefined,
      range: range ?? { startMs: anchor.nowMs - 3600e3, endMs: anchor.nowMs },
      nowMs: anchor.nowMs,
      manual: anchor.manual,
      everySeconds,
      setRange,
      zoom: ({ startMs, endMs }) => {
        setRange({ from: `${Math.floor(startMs)}`, to: `${Math.ceil(endMs)}` });
      },
      back: earlier.length ? back : undefined,
      refresh,
      setEvery,
    };
  }, [from, to, anchor.nowMs, anchor.manual, everySeconds, setRange, earlier.length, back, refresh, setEvery]);

  return <TimeContext value={state}>{children}</TimeContext>;
}
