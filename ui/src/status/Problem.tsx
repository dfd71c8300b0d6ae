import { Button } from '@mantine/core';
import { IconAlertTriangle, IconRefresh } from '@tabler/icons-react';
import { ApiError } from '../api/client';
import classes from './status.module.css';

/** A failure, shown where the answer would have been: the server's own words and a way to try again. */
export function Problem({ error, onRetry, compact }: { error: unknown; onRetry?: () => void; compact?: boolean }) {
  const api = error instanceof ApiError ? error : undefined;
  const text = error instanceof Error ? error.message : String(error);
  return (
    <div className={classes.problem} role="alert" data-compact={compact} data-testid="problem">
      <IconAlertTriangle size={18} className={classes.problemIcon} aria-hidden />
      <div className={classes.problemBody}>
        <strong>{api?.title ?? 'This page failed'}</strong>
        <pre className={classes.words}>{text}</pre>
        {api && (
          <span className="dim">
            {api.path.split('?')[0]}
            {api.status > 0 && ` · status ${api.status}`}
          </span>
        )}
      </div>
      {onRetry && (
        <Button variant="default" leftSection={<IconRefresh size={14} />} onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
