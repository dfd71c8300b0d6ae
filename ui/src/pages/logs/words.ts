import { ALL_LOGS, quoted } from './selector';

/** One thing that a search in plain words asks for. */
export type Term = Texts | Field;

/** The line holds one of these texts. */
export interface Texts extends Span {
  kind: 'texts';
  not: boolean;
  /** More than one where `OR` stands between them. */
  any: { text: string; exact: boolean }[];
}

/** A label or a field has this value. */
export interface Field extends Span {
  kind: 'field';
  not: boolean;
  name: string;
  value: string;
  /** A `*` in the value stands for anything. */
  stars: boolean;
}

interface Span {
  from: number;
  to: number;
}

const FUNCTIONS =
  'sum|avg|count|min|max|stddev|stdvar|topk|bottomk|approx_topk|sort|sort_desc|rate|rate_counter|bytes_rate|count_over_time|' +
  'bytes_over_time|absent_over_time|(?:sum|avg|min|max|stddev|stdvar|quantile|first|last)_over_time|label_replace|vector|variants';
const BEGINS_LOGQL = new RegExp(`^(?:[{(#|]|!=|!~|!>|(?:${FUNCTIONS})\\s*(?:(?:by|without)\\s*\\([^)]*\\)\\s*)?\\()`);

/**
 * The rule for which of the two languages a search is in: LogQL begins with one of `{ ( # | != !~ !>` or with a LogQL function and
 * its `(`. All else is words, and so is everything that begins with a quote.
 */
export function isLogql(search: string): boolean {
  return BEGINS_LOGQL.test(search.trimStart());
}

/** The LogQL of a search in either language. */
export function toLogql(search: string): string {
  const text = search.trim();
  if (text === '') return ALL_LOGS;
  if (!isLogql(text)) return wordsToLogql(text);
  return /^[|!]/.test(text) ? `${ALL_LOGS} ${text}` : text;
}

/** The terms of a search in words, each with its place in the text. */
export function parseWords(search: string): Term[] {
  const terms: Term[] = [];
  let joins = false;
  for (let at = 0; at < search.length;) {
    if (/\s/.test(search[at] ?? '')) {
      at++;
      continue;
    }
    const { term, next } = readTerm(search, at);
    at = next;
    const before = terms.at(-1);
    const bare = search.slice(term.from, term.to);
    if (bare === 'OR' && before?.kind === 'texts' && !before.not && !joins && /^\s+[^\s-]/.test(search.slice(at))) {
      joins = true;
    } else if (joins && before?.kind === 'texts' && term.kind === 'texts' && !term.not) {
      before.any.push(...term.any);
      before.to = term.to;
      joins = false;
    } else {
      joins = false;
      if (term.kind === 'field' || term.any.some(({ text }) => text !== '')) terms.push(term);
    }
  }
  return terms;
}

function readTerm(search: string, from: number): { term: Term; next: number } {
  const not = search[from] === '-' && /[^\s-]/.test(search[from + 1] ?? ' ');
  let at = not ? from + 1 : from;
  // A colon before a slash belongs to an address on the web, and one at the end of a word to a sentence.
  const name = /^([A-Za-z_][\w.]*):(?=[^\s/:])/.exec(search.slice(at))?.[1];
  if (name !== undefined) at += name.length + 1;
  const quotedText = search[at] === '"';
  const { text, next } = quotedText ? readQuoted(search, at) : readBare(search, at);
  const span = { from, to: next };
  const term: Term =
    name === undefined
      ? { kind: 'texts', not, any: [{ text, exact: quotedText }], ...span }
      : {
          kind: 'field',
          not,
          name: name.replaceAll('.', '_'),
          value: text,
          stars: !quotedText && text.includes('*'),
          ...span,
        };
  return { term, next };
}

function readBare(search: string, from: number): { text: string; next: number } {
  const text = /^\S*/.exec(search.slice(from))?.[0] ?? '';
  return { text, next: from + text.length };
}

/** A quote that nobody closed reaches to the end, as it does while somebody types. */
function readQuoted(search: string, from: number): { text: string; next: number } {
  let text = '';
  let at = from + 1;
  for (; at < search.length && search[at] !== '"'; at++) {
    if (search[at] === '\\' && /["\\]/.test(search[at + 1] ?? '')) at++;
    text += search[at];
  }
  return { text, next: Math.min(search.length, at + 1) };
}

/** Labels that every stream may have: they choose streams, all other names are filters on what the streams hold. */
const STREAM_LABELS = new Set([
  'business_service',
  'service',
  'component',
  'service_name',
  'region',
  'environment',
  'team',
]);

function wordsToLogql(search: string): string {
  const terms = parseWords(search);
  const lines = terms.filter((term) => term.kind === 'texts').map(lineFilter);
  const matchers: string[] = [];
  const filters: string[] = [];
  let chosen = false;
  for (const group of grouped(terms.filter((term) => term.kind === 'field'))) {
    const stream = STREAM_LABELS.has(group.name);
    (stream ? matchers : filters).push(...matchersOf(group));
    chosen ||= stream && group.ins.length > 0 && !group.ins.some(({ value }) => value === '');
  }
  const selector = chosen ? matchers : [ALL_LOGS.slice(1, -1), ...matchers];
  return [`{${selector.join(', ')}}`, ...lines, ...filters.map((filter) => `| ${filter}`)].join(' ');
}

interface Group {
  name: string;
  ins: Field[];
  outs: Field[];
}

function grouped(fields: Field[]): Group[] {
  const groups = new Map<string, Group>();
  for (const field of fields) {
    const name = field.name === 'level' ? LEVEL_LABEL : field.name;
    const group = groups.get(name) ?? { name, ins: [], outs: [] };
    groups.set(name, group);
    (field.not ? group.outs : group.ins).push(field);
  }
  return [...groups.values()];
}

/** The name that words have for the level, and the label that Loki gives every line that has one. */
export const LEVEL_LABEL = 'detected_level';

/** Several values that are wanted are alternatives; several that are not wanted are all left out. */
function matchersOf({ name, ins, outs }: Group): string[] {
  const value = (field: Field) => (name === LEVEL_LABEL ? levelName(field.value) : field.value);
  const pattern = (fields: Field[]) =>
    fields
      .map((field) => (field.stars ? starPattern(value(field)) : escapePattern(value(field))))
      .filter((text, index, all) => all.indexOf(text) === index)
      .join('|');
  return [
    { fields: ins, plain: '=', pattern: '=~' },
    { fields: outs, plain: '!=', pattern: '!~' },
  ]
    .filter(({ fields }) => fields.length > 0)
    .map((side) => {
      const [first] = side.fields;
      return first && side.fields.length === 1 && !first.stars
        ? `${name}${side.plain}${quoted(value(first))}`
        : `${name}${side.pattern}${quoted(pattern(side.fields))}`;
    });
}

function starPattern(value: string): string {
  return value === '*' ? '.+' : value.split('*').map(escapePattern).join('.*');
}

/** The server's word for a level that a person may call otherwise. */
export function levelName(level: string): string {
  const text = level.toLowerCase();
  return { fatal: 'critical', err: 'error', warning: 'warn', unknown: '' }[text] ?? text;
}

/** Words match in any case, quoted phrases as they are written. What has no case is looked for as it is, which is faster. */
function lineFilter({ not, any }: Texts): string {
  const [only] = any;
  if (only && any.length === 1 && (only.exact || caseless(only.text)))
    return `${not ? '!=' : '|='} ${quoted(only.text)}`;
  const patterns = any.map(({ text, exact }) =>
    exact && !caseless(text) && any.length > 1 ? `(?-i:${escapePattern(text)})` : escapePattern(text),
  );
  return `${not ? '!~' : '|~'} ${quoted(`(?i)${patterns.join('|')}`)}`;
}

function caseless(text: string): boolean {
  return text.toLowerCase() === text.toUpperCase();
}

export function escapePattern(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** A field of a search in words, as a person would write it. */
export function printField(name: string, value: string, not: boolean): string {
  const plain = value !== '' && !/[\s"*\\]/.test(value) && !/^[/:]/.test(value);
  const text = plain ? value : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  return `${not ? '-' : ''}${name}:${text}`;
}
