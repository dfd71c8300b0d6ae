import { useQuery } from '@tanstack/react-query';
import { metadata, type Metric } from '../../api/prometheus';

const NOTHING_KNOWN: ReadonlyMap<string, Metric> = new Map<string, Metric>();

/** Types, units and help texts. They only decorate a page, so their absence must not hide it. */
export function useMetadata(): ReadonlyMap<string, Metric> {
  const about = useQuery({ queryKey: ['metric-metadata'], queryFn: ({ signal }) => metadata(signal) });
  return about.data ?? NOTHING_KNOWN;
}
