import { searchTraces, type FoundTraces, type TraceSearch, type TraceSummary } from '../../api/tempo';

/** Into so many parts a time range is cut, and so many are asked for at once. */
export const PARTS = 20;
const AT_ONCE = 4;
/** A range shorter than this is asked for as a whole, seconds. */
const SHORT = 120;

/**
 * Traces from the whole of a range: the newest of each part of it. The newest of all would, in a busy company, be those of the last
 * seconds: a picture of them over an hour shows nothing, and what fails now and then is not among them.
 */
export async function searchSpread(search: TraceSearch, signal: AbortSignal): Promise<FoundTraces> {
  const parts = partsOf(search);
  const answers: FoundTraces[] = [];
  let next = 0;
  const worker = async () => {
    for (let part = parts[next++]; part; part = parts[next++]) answers.push(await searchTraces(part, signal));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return joined(answers);
}

export function partsOf(search: TraceSearch): TraceSearch[] {
  const { start, end, limit } = search;
  if (end - start < SHORT) return [search];
  const edges = Array.from({ length: PARTS + 1 }, (_, index) => Math.round(start + ((end - start) * index) / PARTS));
  return edges.slice(0, PARTS).map((from, index) => ({
    ...search,
    start: from,
    end: edges[index + 1] ?? end,
    limit: Math.ceil(limit / PARTS),
  }));
}

/** A trace that reaches over an edge is found twice: what is known of more of it counts. */
export function joined(answers: FoundTraces[]): FoundTraces {
  const traces = new Map<string, TraceSummary>();
  for (const trace of answers.flatMap((answer) => answer.traces)) {
    const known = traces.get(trace.traceId);
    if (!known || trace.durationMs > known.durationMs) traces.set(trace.traceId, trace);
  }
  return {
    traces: [...traces.values()].sort((a, b) => b.startMs - a.startMs),
    partial: answers.find(({ partial }) => partial)?.partial,
    more: answers.some(({ more }) => more),
  };
}
