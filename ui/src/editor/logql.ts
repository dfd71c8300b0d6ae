import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { LanguageSupport, LRLanguage } from '@codemirror/language';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags } from '@lezer/highlight';

const FUNCTIONS =
  'Rate RateCounter CountOverTime BytesRate BytesOverTime AvgOverTime SumOverTime MinOverTime MaxOverTime StddevOverTime StdvarOverTime QuantileOverTime FirstOverTime LastOverTime AbsentOverTime LabelReplace Vector Sum Avg Count Max Min Stddev Stdvar Bottomk Topk Sort Sort_Desc';
const WORDS =
  'By Without On Ignoring GroupLeft GroupRight Bool Offset And Or Unless Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Decolorize Drop Keep Ip';

const language = LRLanguage.define({
  name: 'logql',
  parser: parser.configure({
    props: [
      styleTags({
        [FUNCTIONS]: tags.function(tags.variableName),
        [WORDS]: tags.keyword,
        Identifier: tags.labelName,
        String: tags.string,
        'Number Duration Bytes': tags.number,
        LineComment: tags.comment,
        'Eq Neq Re Nre Eql Gtr Gte Lss Lte PipeExact PipeMatch PipePattern Npa': tags.operator,
        '⚠': tags.invalid,
      }),
    ],
  }),
  languageData: { closeBrackets: { brackets: ['(', '[', '{', '"', '`'] }, commentTokens: { line: '#' } },
});

/** Where completion gets label names and values; the page gives the server, a test gives a list. */
export interface LabelSource {
  names: () => Promise<string[]>;
  values: (name: string) => Promise<string[]>;
}

const stage = (label: string, detail: string, apply = `${label} `): Completion => ({
  label,
  detail,
  apply,
  type: 'keyword',
});

const STAGES = [
  stage('json', 'fields of a JSON line', 'json'),
  stage('logfmt', 'fields of a key=value line', 'logfmt'),
  stage('pattern', 'fields by a pattern'),
  stage('regexp', 'fields by a regular expression'),
  stage('unwrap', 'a label as a number'),
  stage('line_format', 'rewrite the line'),
  stage('label_format', 'rename a label'),
  stage('drop', 'leave labels out'),
  stage('keep', 'keep only these labels'),
];

const START: Completion[] = [
  { label: '{…}', detail: 'choose streams', apply: '{', type: 'keyword' },
  ...[
    'count_over_time',
    'rate',
    'bytes_rate',
    'bytes_over_time',
    'sum_over_time',
    'avg_over_time',
    'max_over_time',
    'quantile_over_time',
  ].map((label): Completion => ({ label, detail: 'over a range of log lines', apply: `${label}(`, type: 'function' })),
  ...['sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk'].map((label): Completion => ({
    label,
    detail: 'aggregation',
    type: 'function',
  })),
];

/** What can stand at the cursor: a label's name or value inside braces, a stage after a pipe, a function elsewhere. */
export async function completeLogql(context: CompletionContext, source: LabelSource): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(0, context.pos);
  const open = before.lastIndexOf('{');
  const inside = open > before.lastIndexOf('}');
  if (inside) {
    const value = /([A-Za-z_][\w]*)\s*(=~|!~|!=|=)\s*("?)([^"]*)$/.exec(before.slice(open + 1));
    if (value) {
      const [, name = '', , quote = '', typed = ''] = value;
      const options = (await source.values(name)).map((text) => completionOfValue(text, quote, context));
      return { from: context.pos - typed.length, options, validFor: /^[^"]*$/ };
    }
    const typed = /[\w]*$/.exec(before)?.[0] ?? '';
    if (/"\s*$/.test(before.slice(open)) && typed === '') return null;
    const options = (await source.names()).map((label): Completion => ({
      label,
      apply: `${label}="`,
      type: 'property',
    }));
    return { from: context.pos - typed.length, options, validFor: /^\w*$/ };
  }
  const afterPipe = /\|\s*(\w*)$/.exec(before);
  if (afterPipe) {
    const labels = (await source.names()).map((label): Completion => ({
      label,
      apply: `${label}="`,
      type: 'property',
      boost: -10,
    }));
    return { from: context.pos - (afterPipe[1]?.length ?? 0), options: [...STAGES, ...labels], validFor: /^\w*$/ };
  }
  const byLabels = /\b(by|without)\s*\(([\w\s,]*?)(\w*)$/.exec(before);
  if (byLabels) {
    return {
      from: context.pos - (byLabels[3]?.length ?? 0),
      options: (await source.names()).map((label) => ({ label, type: 'property' })),
    };
  }
  const word = context.matchBefore(/\w+/);
  if (!word && !context.explicit) return null;
  return { from: word?.from ?? context.pos, options: START, validFor: /^\w*$/ };
}

function completionOfValue(text: string, quote: string, context: CompletionContext): Completion {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  const closed = context.state.sliceDoc(context.pos, context.pos + 1) === '"';
  return { label: text, apply: `${quote ? '' : '"'}${escaped}${closed ? '' : '"'}`, type: 'text' };
}

export function logql(source: LabelSource): LanguageSupport {
  return new LanguageSupport(language, [
    language.data.of({ autocomplete: (context: CompletionContext) => completeLogql(context, source) }),
  ]);
}
