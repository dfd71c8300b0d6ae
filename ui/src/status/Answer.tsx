import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Busy, Loading } from './Loading';
import { Problem } from './Problem';

interface Props<T> {
  query: UseQueryResult<T>;
  loading?: ReactNode;
  /** What to show instead of the answer when it holds nothing. */
  empty?: (data: T) => ReactNode;
  compact?: boolean;
  children: (data: T) => ReactNode;
}

/** The one way an answer gets onto a page: waiting, failed, empty and full are four different sights. */
export function Answer<T>({ query, loading, empty, compact, children }: Props<T>) {
  const retry = () => {
    void query.refetch();
  };
  if (query.isError) return <Problem error={query.error} onRetry={retry} compact={compact} />;
  if (query.data === undefined) return loading ?? <Loading />;
  return (
    <>
      <Busy active={query.isFetching} />
      {empty?.(query.data) ?? children(query.data)}
    </>
  );
}
