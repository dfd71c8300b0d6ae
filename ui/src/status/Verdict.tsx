import type { Icon } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import classes from './Verdict.module.css';

interface Props {
  icon: Icon;
  /** What the icon's colour says: all is well, look here, it is bad; without, nothing. */
  tone?: 'ok' | 'warn' | 'bad';
  title: string;
  /** At the right: where to go from here. */
  aside?: ReactNode;
  testId?: string;
  /** Paragraphs below the sentence. */
  children: ReactNode;
}

/** The head of a page: one sentence that says how things stand, and what that means. */
export function Verdict({ icon: Icon, tone, title, aside, testId = 'verdict', children }: Props) {
  return (
    <header className={classes.verdict} data-tone={tone} data-testid={testId}>
      <Icon size={28} stroke={1.6} aria-hidden />
      <div className={classes.words}>
        <h1>{title}</h1>
        {children}
      </div>
      {aside && <div className={classes.aside}>{aside}</div>}
    </header>
  );
}
