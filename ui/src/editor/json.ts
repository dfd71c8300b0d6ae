import { LanguageSupport, StreamLanguage, type StringStream } from '@codemirror/language';

/** Colours for JSON, token by token: what is wrong with a file the server says. */
const language = StreamLanguage.define({
  name: 'json',
  token: (stream: StringStream) => {
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"(?=\s*:)/)) return 'propertyName';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string';
    if (stream.match(/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return 'number';
    if (stream.match(/^(?:true|false|null)\b/)) return 'atom';
    stream.next();
    return null;
  },
  languageData: { closeBrackets: { brackets: ['[', '{', '"'] } },
});

export const json = new LanguageSupport(language);
