import { IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react';
import { useState, type ReactNode } from 'react';
import classes from './Metrics.module.css';

const SHOWN_MAX = 3;

/** What the server has to say about an answer besides the answer, in its own words. */
export function Notes({ letter, warnings, infos = [] }: { letter?: string; warnings: string[]; infos?: string[] }) {
  const [all, setAll] = useState(false);
  const notes = [
    ...warnings.map((text) => ({ kind: 'warning' as const, text: text.replace(/^PromQL warning: /, '') })),
    ...infos.map((text) => ({ kind: 'info' as const, text: text.replace(/^PromQL info: /, '') })),
  ];
  const shown = all ? notes : notes.slice(0, SHOWN_MAX);
  return (
    <>
      {shown.map(({ kind, text }, index) => (
        <Note key={index} kind={kind}>
          <b>
            {kind === 'warning' ? 'Warning' : 'Note'}
            {letter && ` on ${letter}`}:
          </b>{' '}
          {text}
        </Note>
      ))}
      {notes.length > shown.length && (
        <button type="button" className={classes.more} onClick={() => setAll(true)}>
          {notes.length - shown.length} more
        </button>
      )}
    </>
  );
}

export function Note({ kind, children }: { kind: 'warning' | 'info'; children: ReactNode }) {
  const Icon = kind === 'warning' ? IconAlertTriangle : IconInfoCircle;
  return (
    <div className={classes.note} data-kind={kind} role="status" data-testid="note">
      <Icon size={15} aria-hidden />
      <span>{children}</span>
    </div>
  );
}
