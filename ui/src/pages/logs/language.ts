import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { EditorState, type Extension } from '@codemirror/state';
import { logql, type LabelSource } from '../../editor/logql';
import { isLogql, printField } from './words';

/** LogQL where the search is LogQL; else words, which complete the values of a field. */
export function searchLanguage(source: LabelSource): (search: string) => Extension {
  const query = logql(source);
  const words = EditorState.languageData.of(() => [
    {
      autocomplete: (context: CompletionContext) => completeWords(context, source),
      closeBrackets: { brackets: ['"'] },
    },
  ]);
  return (search) => (isLogql(search) ? query : words);
}

/** After `name:` its values; names only when they are asked for, since Enter is to search and not to complete. */
async function completeWords(context: CompletionContext, source: LabelSource): Promise<CompletionResult | null> {
  const value = context.matchBefore(/(?:^|\s)-?[A-Za-z_][\w.]*:[^\s"]*/);
  if (value) {
    const [, name = '', typed = ''] = /-?([\w.]+):([^\s"]*)$/.exec(value.text) ?? [];
    const options = (await source.values(name)).map((label) => ({
      label,
      apply: printField('', label, false).slice(1),
      type: 'text',
    }));
    return { from: context.pos - typed.length, options, validFor: /^[^\s"]*$/ };
  }
  const word = context.matchBefore(/[\w.]*/);
  if (!context.explicit || !word) return null;
  const options = (await source.names()).map((label) => ({ label, apply: `${label}:`, type: 'property' }));
  return { from: word.from, options, validFor: /^[\w.]*$/ };
}
