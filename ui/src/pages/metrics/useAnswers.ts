import { useQueries, useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { queryExemplars, type Exemplar } from '../../api/exemplars';
import { queryInstant, queryRange, type Answer } from '../../api/prometheus';
import { alignRange, niceStep } from '../../time/range';
import { useTime } from '../../time/useTime';
import type { Drawn } from './pictures';
import type { Asked } from './queries';
import { metricsOf } from './unit';

export const POINTS = 360;

/** One answer for each query over the range. While a newer one is awaited, the letter's last answer stays. */
export function useRangeAnswers(asked: Asked[]): UseQueryResult<Drawn>[] {
  const time = useTime();
  const client = useQueryClient();
  const step = niceStep(time.range, POINTS);
  const { start, end } = alignRange(time.range, step);
  return useQueries({
    queries: asked.map(({ letter, text }) => ({
      queryKey: ['metrics', 'range', letter, text, start, end, step, time.manual],
      queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Drawn> => ({
        ...(await queryRange(text, start, end, step, signal)),
        start,
        end,
        step,
        query: text,
      }),
      placeholderData: () => latest<Drawn>(client, ['metrics', 'range', letter]),
    })),
  });
}

/** One answer for each query at the end of the range. */
export function useInstantAnswers(asked: Asked[]): UseQueryResult<Answer>[] {
  const time = useTime();
  const client = useQueryClient();
  const at = Math.floor(time.range.endMs / 1000);
  return useQueries({
    queries: asked.map(({ letter, text }) => ({
      queryKey: ['metrics', 'instant', letter, text, at, time.manual],
      queryFn: ({ signal }: { signal: AbortSignal }) => queryInstant(text, at, signal),
      placeholderData: () => latest<Answer>(client, ['metrics', 'instant', letter]),
    })),
  });
}

/** The exemplars of each query; they only decorate a chart, so a failure is told in a word and hides nothing. */
export function useExemplars(asked: Asked[], wanted: boolean): UseQueryResult<Exemplar[]>[] {
  const time = useTime();
  const client = useQueryClient();
  const start = Math.floor(time.range.startMs / 1000);
  const end = Math.ceil(time.range.endMs / 1000);
  return useQueries({
    queries: asked.map(({ letter, text }) => ({
      queryKey: ['exemplars', letter, text, start, end, time.manual],
      queryFn: ({ signal }: { signal: AbortSignal }) => queryExemplars(text, start, end, signal),
      placeholderData: () => latest<Exemplar[]>(client, ['exemplars', letter, text]),
      enabled: wanted && metricsOf(text).length > 0,
    })),
  });
}

type Client = ReturnType<typeof useQueryClient>;

function latest<T>(client: Client, queryKey: string[]): T | undefined {
  let found: { data: T; at: number } | undefined;
  for (const query of client.getQueryCache().findAll({ queryKey })) {
    const { data, dataUpdatedAt: at } = query.state;
    if (data !== undefined && (!found || at > found.at)) found = { data: data as T, at };
  }
  return found?.data;
}
