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
  language: Extension | ((text: string) => Extension);
  label: string;
  /** The editor's name where the label before it changes. */
  name?: string;
  placeholder: string;
  lines?: boolean;
  running: boolean;
  /** What the button says. */
  action?: string;
  children?: ReactNode;
}

/** The editor with its run button: the top line of every page that has a query. */
export function QueryBar(props: Props) {
  const { draft, onDraft, onRun, language, label, name, placeholder, lines, running, action = 'Run', children } = props;
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
        label={name ?? `${label} query`}
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
        {action}
      </Button>
      {children}
    </div>
  );
}
