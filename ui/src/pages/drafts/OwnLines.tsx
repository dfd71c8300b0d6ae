import { SegmentedControl, Textarea } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './OwnLines.module.css';

interface Props {
  /** Whether it is tried on lines, and these. */
  own: boolean;
  lines: string;
  onChange: (patch: { own?: boolean; lines?: string }) => void;
  /** Which of those that are stored. */
  children: ReactNode;
}

/** On what a pipeline is tried: stored records, or lines that somebody pastes. */
export function OwnLines({ own, lines, onChange, children }: Props) {
  return (
    <>
      <SegmentedControl
        aria-label="On what it is tried"
        data={[
          { value: 'stored', label: 'Stored records' },
          { value: 'own', label: 'My own lines' },
        ]}
        value={own ? 'own' : 'stored'}
        onChange={(value) => onChange({ own: value === 'own' })}
      />
      {!own ? (
        children
      ) : (
        <Textarea
          className={classes.lines}
          label="Lines, each a record"
          description={'As they are, or as JSON: {"body": "…", "attributes": {…}}'}
          autosize
          minRows={3}
          maxRows={8}
          value={lines}
          onChange={(event) => onChange({ lines: event.currentTarget.value })}
        />
      )}
    </>
  );
}
