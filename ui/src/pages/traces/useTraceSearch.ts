import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { attributeNames, attributeValues } from '../../api/tempo';
import { useAddress, type Address } from '../../app/address';
import { traceql } from '../../editor/traceql';
import { useTime } from '../../time/useTime';
import { NO_CRITERIA, readDuration, toTraceql } from './criteria';
import { searchSpread } from './spread';

export const LIMIT = 240;
export const LIMIT_MAX = 3840;

/** The query of an address; links of before there was TraceQL hold its parts as words of their own. */
export function queryOf({ q, service, min, max }: Address): string {
  if (q?.trim()) return q.trim();
  return toTraceql({
    ...NO_CRITERIA,
    service: service ?? '',
    min: readDuration(min ?? '') ?? '',
    max: readDuration(max ?? '') ?? '',
  });
}

/** The whole seconds that hold the range: Tempo's search takes no less. */
export function useSeconds(): { start: number; end: number } {
  const { startMs, endMs } = useTime().range;
  return { start: Math.floor(startMs / 1000), end: Math.ceil(endMs / 1000) };
}

export function useTraceSearch() {
  const [address] = useAddress();
  const time = useTime();
  const { start, end } = useSeconds();
  const q = queryOf(address);
  const limit = Math.min(LIMIT_MAX, Number(address.limit) > 0 ? Math.floor(Number(address.limit)) : LIMIT);
  const answer = useQuery({
    queryKey: ['traces', q, limit, start, end, time.manual],
    queryFn: ({ signal }) => searchSpread({ q, limit, start, end }, signal),
    placeholderData: keepPreviousData,
  });
  return { q, limit, answer };
}

const REMEMBERED_MS = 60_000;

/** TraceQL with completion of what there is in the time that is looked at. */
export function useTraceql() {
  const { start, end } = useSeconds();
  // Moments of one minute ask the same, so that a refresh does not make a new language while somebody types.
  const from = Math.floor(start / 60) * 60;
  const to = Math.ceil(end / 60) * 60;
  return useMemo(() => {
    const known = new Map<string, { at: number; answer: Promise<unknown> }>();
    const remember = <T>(key: string, ask: () => Promise<T>): Promise<T> => {
      const before = known.get(key);
      if (before && Date.now() - before.at < REMEMBERED_MS) return before.answer as Promise<T>;
      const answer = ask();
      known.set(key, { at: Date.now(), answer });
      answer.catch(() => known.delete(key));
      return answer;
    };
    return traceql({
      names: () => remember('', () => attributeNames(from, to)),
      values: (name) => remember(name, () => attributeValues(name, from, to)),
    });
  }, [from, to]);
}
