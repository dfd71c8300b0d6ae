import { LanguageSupport, StreamLanguage, type StringStream } from '@codemirror/language';

/** A key before its colon, in a block or in braces. */
const KEY = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[A-Za-z_$][\w.$/-]*)(?=\s*:(?:\s|$))/;

/** Colours for YAML, token by token: what is wrong with a file the server says. */
const language = StreamLanguage.define({
  name: 'yaml',
  token: (stream: StringStream) => {
    if (stream.eatSpace()) return null;
    const before = stream.string.charAt(stream.pos - 1);
    if (stream.peek() === '#' && (stream.pos === 0 || /\s/.test(before))) {
      stream.skipToEnd();
      return 'comment';
    }
    if (stream.match(KEY)) return 'propertyName';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?|^'(?:[^']|'')*'?/)) return 'string';
    if (stream.match(/^-?\d+(?:\.\d+)?(?:[smhd]|%)?(?=$|[\s,\]}])/)) return 'number';
    if (stream.match(/^(?:true|false|null)\b/)) return 'atom';
    if (stream.match(/^[\w.$/-]+/)) return null;
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', "'", '"'] } },
});

export const yaml = new LanguageSupport(language);
