import { SegmentedControl, Textarea } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './OwnLines.module.css';

interface Props {
  /** Undefined: the records that are stored. */
  lines: string | undefined;
  onLines: (lines: string | undefined) => void;
  /** Which of those that are stored. */
  children: ReactNode;
}

/** On what a pipeline is tried: stored records, or lines that somebody pastes. */
export function OwnLines({ lines, onLines, children }: Props) {
  return (
    <>
      <SegmentedControl
        aria-label="On what it is tried"
        data={[
          { value: 'stored', label: 'Stored records' },
          { value: 'own', label: 'My own lines' },
        ]}
        value={lines === undefined ? 'stored' : 'own'}
        onChange={(value) => onLines(value === 'own' ? '' : undefined)}
      />
      {lines === undefined ? (
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
          onChange={(event) => onLines(event.currentTarget.value)}
        />
      )}
    </>
  );
}
