import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import type { Span } from '../../api/otlp';
import { fetchTrace, type TraceSummary } from '../../api/tempo';

/** How many traces are read whole at most, and how many spans in all. */
export const SAMPLE_MAX = 120;
const SPANS_MAX = 150_000;
const AT_ONCE = 6;

export interface SampledTrace {
  summary: TraceSummary;
  spans: Span[];
}

export interface Sample {
  traces: SampledTrace[];
  /** Traces that could not be read, or were left out because there are too many spans. */
  missing: number;
}

/** Reads traces whole, a few at a time; `progress` counts those that are read. */
export function useSample(wanted: TraceSummary[]) {
  const chosen = useMemo(() => wanted.slice(0, SAMPLE_MAX), [wanted]);
  const ids = useMemo(
    () =>
      chosen
        .map(({ traceId }) => traceId)
        .sort()
        .join(' '),
    [chosen],
  );
  const [progress, setProgress] = useState(0);
  const queries = useQueryClient();
  const key = ['trace-sample', ids];
  const answer = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => readAll(chosen, signal, setProgress),
    staleTime: Infinity,
    gcTime: 30_000,
    enabled: chosen.length > 0,
  });
  // One sample is a good deal of memory: another one's is let go.
  useEffect(() => () => queries.removeQueries({ queryKey: ['trace-sample'], type: 'inactive' }), [queries, ids]);
  return { answer, progress, of: chosen.length };
}

async function readAll(
  chosen: TraceSummary[],
  signal: AbortSignal,
  onProgress: (count: number) => void,
): Promise<Sample> {
  const traces: SampledTrace[] = [];
  let spans = 0;
  let next = 0;
  let done = 0;
  let problem: unknown;
  onProgress(0);
  const worker = async () => {
    for (let summary = chosen[next++]; summary && !signal.aborted; summary = chosen[next++]) {
      if (spans + (summary.spanCount ?? 0) <= SPANS_MAX) {
        try {
          const read = await fetchTrace(summary.traceId, signal);
          spans += read.spans.length;
          traces.push({ summary, spans: read.spans });
        } catch (error) {
          if (signal.aborted) throw error;
          problem ??= error;
        }
      }
      onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (traces.length === 0 && problem !== undefined) throw problem;
  return { traces, missing: chosen.length - traces.length };
}

/** Said wherever a sample is shown: what it is a sample of. */
export function sampleWords({ traces, missing }: Sample, found: number): string {
  const read =
    traces.length === found
      ? `All ${found} traces that were found`
      : `${traces.length} of ${found} traces that were found`;
  return missing > 0 ? `${read}; ${missing} more could not be read or hold too many spans.` : `${read}.`;
}
