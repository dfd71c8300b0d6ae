import { IconSearchOff } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import classes from './status.module.css';

/** An answer that holds nothing: says what was asked, and what to try next. */
export function Empty({ title, hint, children }: { title: string; hint: ReactNode; children?: ReactNode }) {
  return (
    <div className={classes.empty} data-testid="empty">
      <IconSearchOff size={28} stroke={1.3} aria-hidden />
      <strong>{title}</strong>
      <span className={classes.hint}>{hint}</span>
      {children && <div className={classes.actions}>{children}</div>}
    </div>
  );
}
