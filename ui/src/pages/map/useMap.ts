import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { fetchDrift, fetchMap, type MapTime } from '../../api/topology';
import { useTime } from '../../time/useTime';
import { linkId } from './fold';

/** The map of the page's time, or of the five minutes before a moment. */
export function useMap(atMs: number | undefined) {
  const time = useTime();
  const shown: MapTime = atMs === undefined ? time.range : { atMs };
  return useQuery({
    queryKey: ['topology', shown, time.manual],
    queryFn: ({ signal }) => fetchMap(shown, signal),
    placeholderData: keepPreviousData,
  });
}

/** What differs from the catalogue, and the same as ids of links. */
export function useDrift(atMs: number | undefined) {
  const time = useTime();
  const shown: MapTime = atMs === undefined ? time.range : { atMs };
  const drift = useQuery({
    queryKey: ['drift', shown, time.manual],
    queryFn: async ({ signal }) => {
      const found = await fetchDrift(shown, signal);
      const calls = [...found.calledNotDeclared, ...found.unknownCallers];
      return { ...found, undeclared: new Set(calls.map(({ from, to }) => linkId(from, to))) };
    },
    placeholderData: keepPreviousData,
  });
  return drift;
}
