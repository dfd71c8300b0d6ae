import { useNavigate } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Exemplar } from '../../api/exemplars';
import { printAddress, timeWords, useAddress, type Address } from '../../app/address';
import { thinned, type Marks } from '../../charts/exemplarMarks';
import { useTime } from '../../time/useTime';

/** Exemplars as marks of a chart that lead to their traces. */
export function useMarks(exemplars: Exemplar[], format: (value: number) => string): Omit<Marks, 'place'> {
  const time = useTime();
  const navigate = useNavigate();
  const [address] = useAddress();
  const { startMs, endMs } = time.range;
  const shown = useMemo(() => thinned(exemplars, startMs / 1000, endMs / 1000), [exemplars, startMs, endMs]);
  const search = ({ spanId }: Exemplar): Address => ({ ...timeWords(address), span: spanId });
  return {
    exemplars: shown,
    format,
    href: (exemplar) => `/trace/${exemplar.traceId}${printAddress({ ...search(exemplar) })}`,
    open: (exemplar) => {
      void navigate({ to: '/trace/$traceId', params: { traceId: exemplar.traceId }, search: search(exemplar) });
    },
  };
}

/** How many exemplars a chart shows, in words. */
export function exemplarWords(shown: number, all: number): string {
  if (all === 0) return '';
  const count =
    shown < all ? `The ${shown} highest of ${all} exemplars` : all === 1 ? 'One exemplar' : `${all} exemplars`;
  return ` ${count} (diamonds): a click opens the trace.`;
}
