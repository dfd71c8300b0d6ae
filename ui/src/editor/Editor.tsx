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
import { lintKeymap } from '@codemirror/lint';
import { Compartment, EditorState, Prec, type Extension } from '@codemirror/state';
import { EditorView, keymap, placeholder as hint } from '@codemirror/view';
import { useEffect, useEffectEvent, useRef } from 'react';
import classes from './Editor.module.css';
import { highlight, look } from './look';

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
}

export function Editor({ value, onChange, onRun, language, label, placeholder, lines = false, focus = false }: Props) {
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
  }, [language, lines, label, placeholder]);

  // A value from outside (a link, a button that edits the query) replaces the text; typing comes back as the same text.
  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={box} className={classes.editor} data-lines={lines} data-query />;
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
