import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  completionStatus,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { Compartment, EditorState, Prec, type Extension, type Text } from '@codemirror/state';
import { EditorView, keymap, lineNumbers, placeholder as hint } from '@codemirror/view';
import { useEffect, useEffectEvent, useImperativeHandle, useRef, type Ref } from 'react';
import classes from './Editor.module.css';
import { highlight, look } from './look';

/** What is wrong at a place of the text, both from 1. */
export interface Mark {
  line: number;
  column: number;
  what: string;
}

/** For buttons beside the editor. */
export interface EditorHandle {
  goTo: (line: number, column: number) => void;
}

interface Props {
  value: string;
  onChange: (value: string) => void;
  onRun: () => void;
  /** The language with its completion, or a rule for which of several the text is in; must keep its identity between renders. */
  language: Extension | ((text: string) => Extension);
  label: string;
  placeholder: string;
  /** True: Enter breaks the line and Ctrl Enter runs. False: Enter runs and Shift Enter breaks the line. */
  lines?: boolean;
  /** True: the editor takes the focus when it appears. */
  focus?: boolean;
  /** True: a whole file, with the numbers of its lines. */
  file?: boolean;
  /** Underlined until the next ones come. */
  marks?: Mark[];
  ref?: Ref<EditorHandle>;
}

const NO_MARKS: Mark[] = [];

export function Editor(props: Props) {
  const { value, onChange, onRun, language, label, placeholder, lines = false, focus = false, file = false } = props;
  const { marks = NO_MARKS, ref } = props;
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const change = useEffectEvent(onChange);
  const run = useEffectEvent(onRun);
  const first = useRef(value);
  const wantsFocus = useRef(focus);

  useEffect(() => {
    if (!box.current) return;
    const runNow = () => {
      run();
      return true;
    };
    const enter = lines
      ? [{ key: 'Mod-Enter', run: runNow }]
      : [
          { key: 'Enter', run: (editor: EditorView) => completionStatus(editor.state) !== 'active' && runNow() },
          { key: 'Mod-Enter', run: runNow },
          { key: 'Shift-Enter', run: insertNewlineAndIndent },
        ];
    const leave = {
      key: 'Escape',
      run: (editor: EditorView) => {
        if (completionStatus(editor.state) !== null) return false;
        editor.contentDOM.blur();
        return true;
      },
    };
    const made = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          Prec.highest(keymap.of(enter)),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, leave, { key: 'Tab', run: acceptCompletion }]),
          keymap.of([...historyKeymap, ...lintKeymap, ...defaultKeymap]),
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ maxRenderedOptions: 60 }),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', autocapitalize: 'off' }),
          hint(placeholder),
          file ? lineNumbers() : [],
          look,
          syntaxHighlighting(highlight),
          typeof language === 'function' ? chosenByText(language, first.current) : language,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) change(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    if (wantsFocus.current) made.focus();
    wantsFocus.current = false;
    return () => {
      first.current = made.state.doc.toString();
      made.destroy();
      view.current = null;
    };
  }, [language, lines, label, placeholder, file]);

  // A value from outside (a link, a button that edits the query) replaces the text; typing comes back as the same text.
  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const { doc } = editor.state;
    const shown = marks.map((mark): Diagnostic => ({ ...spanOf(doc, mark), severity: 'error', message: mark.what }));
    editor.dispatch(setDiagnostics(editor.state, shown));
  }, [marks]);

  useImperativeHandle(ref, () => ({
    goTo: (line, column) => {
      const editor = view.current;
      if (!editor) return;
      const { from } = spanOf(editor.state.doc, { line, column });
      editor.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: 'center' }) });
      editor.focus();
    },
  }));

  return <div ref={box} className={classes.editor} data-lines={lines} data-file={file} data-query />;
}

/** From a place to the end of its word; of a place that is not there any more the nearest that is. */
function spanOf(doc: Text, { line, column }: { line: number; column: number }): { from: number; to: number } {
  const row = doc.line(Math.min(Math.max(line, 1), doc.lines));
  const from = Math.min(row.from + Math.max(column - 1, 0), row.to);
  const word = /^\s*[^\s,{}[\]:]*/.exec(row.text.slice(from - row.from))?.[0].length ?? 0;
  return { from, to: Math.min(from + Math.max(word, 1), row.to) };
}

/** Reads the text in the language that it turns out to be in, while it is typed. */
function chosenByText(languageOf: (text: string) => Extension, text: string): Extension {
  const place = new Compartment();
  return [
    place.of(languageOf(text)),
    EditorState.transactionExtender.of((change) => {
      if (!change.docChanged) return null;
      const next = languageOf(change.newDoc.toString());
      return next === place.get(change.startState) ? null : { effects: place.reconfigure(next) };
    }),
  ];
}
