import { Button, Loader } from '@mantine/core';
import { IconPlayerPlayFilled } from '@tabler/icons-react';
import type { Extension } from '@codemirror/state';
import { useMemo, type ReactNode, type RefObject } from 'react';
import { Editor, type EditorHandle } from '../../editor/Editor';
import { Copy } from '../../status/Copy';
import classes from './Bench.module.css';
import { marksOf, sentence, type DraftProblem } from './problems';
import type { Draft } from './useDraft';

interface Props {
  head: ReactNode;
  draft: Draft;
  /** Whether what was tried last is another than what is chosen now. */
  isOld: boolean;
  onDraft: (patch: Partial<Draft>) => void;
  onTry: () => void;
  /** What has to be chosen before anything can be tried. */
  missing?: string;
  running: boolean;
  language: Extension;
  label: string;
  placeholder: string;
  /** The text that it began as: to begin again. */
  begin: string;
  /** What is wrong with what was tried last. */
  problems: DraftProblem[];
  /** What it began from, on which records it is tried. */
  choices: ReactNode;
  /** The file that it becomes, and the command that does the same. */
  file: string;
  command: string;
  editor: RefObject<EditorHandle | null>;
  children: ReactNode;
}

/** A draft at the left and what it would do at the right; below each other where there is no room. */
export function Bench(props: Props) {
  const {
    head,
    draft,
    isOld,
    onDraft,
    onTry,
    missing,
    running,
    begin,
    problems,
    choices,
    file,
    command,
    editor,
    children,
  } = props;
  const marks = useMemo(() => marksOf(problems), [problems]);
  const { text } = draft;
  const tryNow = () => {
    if (!missing) onTry();
  };
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        {head}
        <div className={classes.bench}>
          <section className={classes.draft} aria-label="The draft">
            <div className={classes.choices}>{choices}</div>
            <Editor
              ref={editor}
              value={text}
              onChange={(next) => onDraft({ text: next })}
              onRun={tryNow}
              language={props.language}
              label={props.label}
              placeholder={props.placeholder}
              marks={marks}
              lines
              file
            />
            {problems.length > 0 && (
              <ul className={classes.problems} aria-label="What is wrong" data-testid="draft-problems">
                {problems.map(({ place, what }) => (
                  <li key={`${place?.line} ${place?.column} ${what}`}>
                    {place && (
                      <button type="button" onClick={() => editor.current?.goTo(place.line, place.column)}>
                        Line {place.line}, column {place.column}
                      </button>
                    )}
                    <span>{sentence(what)}</span>
                  </li>
                ))}
              </ul>
            )}
            <div className={classes.actions}>
              <Button
                size="sm"
                onClick={tryNow}
                disabled={Boolean(missing)}
                leftSection={running ? <Loader size={13} color="white" /> : <IconPlayerPlayFilled size={13} />}
                aria-busy={running}
                data-testid="try"
              >
                Try it
              </Button>
              <span className="dim" role="status">
                {missing ?? `${isOld ? 'Changed since it was tried. ' : ''}Ctrl Enter tries it. Nothing is stored.`}
              </span>
              {text !== begin && (
                <Button variant="subtle" ml="auto" onClick={() => onDraft({ text: begin })}>
                  Begin again
                </Button>
              )}
            </div>
            <InForce file={file} command={command} text={text} />
          </section>
          <section className={classes.answer} aria-label="What it would do">
            {children}
          </section>
        </div>
      </div>
    </div>
  );
}

function InForce({ file, command, text }: { file: string; command: string; text: string }) {
  return (
    <details className={classes.force}>
      <summary>How it comes into force</summary>
      <ol>
        <li>
          Commit it to the catalogue in git as <code>{file}</code>. <Copy text={text} label="Copy the text" />
        </li>
        <li>
          <code>tyto check</code> says there, before it is merged, whether it can be used.
        </li>
        <li>Tyto takes it over when it reads the catalogue again. Records that came before stay as they are stored.</li>
      </ol>
      <p>The same trial at a terminal, of the file:</p>
      <pre>{command}</pre>
      <Copy text={command} label="Copy the command" />
    </details>
  );
}
