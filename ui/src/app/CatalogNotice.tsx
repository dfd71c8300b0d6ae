import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { fetchCatalogTroubles } from '../api/catalog';
import classes from './Shell.module.css';

/** Above every page while owners and rules may be old ones: whoever reads an owner there has to know. */
export function CatalogNotice() {
  const troubles = useQuery({
    queryKey: ['catalog-troubles'],
    queryFn: ({ signal }) => fetchCatalogTroubles(signal),
    refetchInterval: 30_000,
    retry: false,
  });
  // A server that does not answer is told by the page that asks it.
  if (!troubles.data?.length) return null;
  return (
    <div className={classes.notice} role="status" data-testid="catalog-notice">
      <IconAlertTriangle size={16} aria-hidden />
      <span>
        <strong>The catalogue may be old.</strong> {troubles.data.join(' ')}
      </span>
    </div>
  );
}
