import { Button, Loader } from '@mantine/core';
import { IconPlayerPlayFilled } from '@tabler/icons-react';
import type { Extension } from '@codemirror/state';
import type { ReactNode } from 'react';
import { Editor } from './Editor';
import classes from './QueryBar.module.css';

interface Props {
  draft: string;
  onDraft: (text: string) => void;
  onRun: () => void;
  language: Extension;
  label: string;
  placeholder: string;
  lines?: boolean;
  running: boolean;
  children?: ReactNode;
}

/** The editor with its run button: the top line of every page that has a query. */
export function QueryBar({ draft, onDraft, onRun, language, label, placeholder, lines, running, children }: Props) {
  return (
    <div className={classes.bar}>
      <span className={classes.tag} aria-hidden>
        {label}
      </span>
      <Editor
        value={draft}
        onChange={onDraft}
        onRun={onRun}
        language={language}
        label={`${label} query`}
        placeholder={placeholder}
        lines={lines}
      />
      <Button
        size="sm"
        h={33}
        onClick={onRun}
        leftSection={running ? <Loader size={13} color="white" /> : <IconPlayerPlayFilled size={13} />}
        aria-busy={running}
        data-testid="run"
      >
        Run
      </Button>
      {children}
    </div>
  );
}
