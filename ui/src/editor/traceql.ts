import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { LanguageSupport, StreamLanguage, type StringStream } from '@codemirror/language';

const INTRINSICS: Record<string, string> = {
  name: 'the operation of a span',
  status: 'error, ok or unset',
  statusMessage: 'what a failed span says',
  kind: 'server, client, producer, consumer or internal',
  duration: 'how long a span took',
  traceDuration: 'how long the whole trace took',
  rootName: 'the operation the trace began with',
  rootServiceName: 'the service the trace began in',
  'event:name': 'the name of an event of a span',
  'instrumentation:name': 'the library that recorded the span',
};
const STAGES: Record<string, string> = {
  'count()': 'how many spans match',
  'avg(duration)': 'their mean duration',
  'max(duration)': 'the longest of them',
  'min(duration)': 'the shortest of them',
  'sum(duration)': 'their durations added up',
  'by(resource.service.name)': 'a set of spans for each value',
  'select(span.http.route)': 'further attributes in the answer',
};
const FUNCTIONS =
  /^(?:count|avg|max|min|sum|by|select|coalesce|rate|count_over_time|quantile_over_time|histogram_over_time|compare|topk|bottomk)\b(?=\s*\()/;
const WORDS = /^(?:error|ok|unset|true|false|nil|server|client|producer|consumer|internal|unspecified)\b/;
const NAME =
  /^(?:(?:span|resource|event|link|instrumentation|parent|trace)[.:])?\.?[A-Za-z_][\w.:\-/]*(?:"(?:[^"\\]|\\.)*")?/;

/** Colours for TraceQL, token by token. The pages read the queries that they can edit with a reader of their own. */
const language = StreamLanguage.define({
  name: 'traceql',
  token: (stream: StringStream) => {
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"?|^`[^`]*`?/)) return 'string';
    if (stream.match(/^\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d)?/)) return 'number';
    if (stream.match(FUNCTIONS)) return 'keyword';
    if (stream.match(WORDS)) return 'atom';
    if (stream.match(NAME)) return 'propertyName';
    if (stream.match(/^(?:&&|\|\||=~|!~|[!<>]=|[=<>|&~!+\-*/^%]+)/)) return 'operator';
    stream.next();
    return null;
  },
  languageData: { closeBrackets: { brackets: ['(', '{', '"', '`'] } },
});

/** Where completion gets names and values; the page gives the server, a test gives a list. */
export interface AttributeSource {
  names: () => Promise<string[]>;
  values: (name: string) => Promise<{ type: string; value: string }[]>;
}

export function traceql(source: AttributeSource): LanguageSupport {
  return new LanguageSupport(language, [
    language.data.of({ autocomplete: (context: CompletionContext) => complete(context, source) }),
  ]);
}

/** Inside braces a name, or after a comparison its values; behind a pipe the stages. */
export async function complete(context: CompletionContext, source: AttributeSource): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(0, context.pos);
  const value = /([A-Za-z_.][\w.:\-/]*(?:"[^"]*")?)\s*(?:=~|!~|!=|[<>]=?|=)\s*("?)([^"\s{}|&]*)$/.exec(before);
  if (value) {
    const [, name = '', quote = '', typed = ''] = value;
    const found = await source.values(name).catch(() => []);
    const after = context.state.sliceDoc(context.pos, context.pos + 1);
    const options = found.map(({ type, value: text }): Completion => {
      const quoted = type === 'string' ? `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : text;
      // An editor that closed the quote by itself has one behind the cursor already.
      return { label: text, apply: quote ? quoted.slice(1, after === '"' ? -1 : undefined) : quoted, type: 'text' };
    });
    return options.length ? { from: context.pos - typed.length, options, validFor: /^[^"\s{}|&]*$/ } : null;
  }
  const word = context.matchBefore(/[A-Za-z_.][\w.:\-/]*/);
  if (!word && !context.explicit) return null;
  const from = word?.from ?? context.pos;
  if (/\|\s*$/.test(before.slice(0, from - context.pos || undefined)) && !/\|\|\s*$/.test(before.slice(0, from)))
    return { from, options: described(STAGES, 'function') };
  if (!insideBraces(before)) return null;
  const names = await source.names().catch(() => []);
  return {
    from,
    options: [...described(INTRINSICS, 'keyword'), ...names.map((label): Completion => ({ label, type: 'property' }))],
    validFor: /^[\w.:\-/]*$/,
  };
}

function described(words: Record<string, string>, type: string): Completion[] {
  return Object.entries(words).map(([label, detail]) => ({ label, detail, type }));
}

function insideBraces(text: string): boolean {
  const plain = text.replace(/"(?:[^"\\]|\\.)*"?|`[^`]*`?/g, '');
  return plain.lastIndexOf('{') > plain.lastIndexOf('}');
}
