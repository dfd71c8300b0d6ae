import { parser } from '@grafana/lezer-logql';
import { ALL_LOGS, quoted } from './selector';
import { escapePattern } from './words';

/** Where a label of a row comes from: stream labels belong into the braces, all others into a filter after a pipe. */
export type Origin = 'stream' | 'metadata' | 'parsed';

/** The values of one name that a search wants, any of them, and those that it does not want. */
export interface Choices {
  ins: string[];
  outs: string[];
}

/** True when the query answers numbers over time instead of log rows. */
export function isMetricQuery(query: string): boolean {
  const expression = parser.parse(query).topNode.getChild('Expr');
  return expression?.getChild('MetricExpr') != null;
}

/** The query narrowed to rows that have this label value, or to rows that do not have it. */
export function filterLabel(query: string, origin: Origin, name: string, keep: boolean, value: string): string {
  return withChoices(query, origin, name, keep ? { ins: [value], outs: [] } : leftOut(choicesOf(query, name), value));
}

/** The choices without this value: where others are wanted it is enough not to want it. */
export function leftOut({ ins, outs }: Choices, value: string): Choices {
  const others = ins.filter((each) => each !== value);
  return { ins: others, outs: others.length || outs.includes(value) ? outs : [...outs, value] };
}

export function choicesOf(query: string, name: string): Choices {
  const choices: Choices = { ins: [], outs: [] };
  for (const found of matchersOf(query, name))
    if (found.values) (found.not ? choices.outs : choices.ins).push(...found.values);
  return choices;
}

/** The query with exactly these choices for the name. A parser is put before a filter on what only a parser brings. */
export function withChoices(
  query: string,
  origin: Origin,
  name: string,
  { ins, outs }: Choices,
  parserStage?: string,
): string {
  const old = choicesOf(query, name);
  if (same(old.ins, ins) && same(old.outs, outs)) return query;
  const found = matchersOf(query, name).filter((each) => each.values ?? (each.presence && ins.length > 0));
  const inSelector = found.some(({ stage }) => !stage) || (found.length === 0 && origin === 'stream');
  const wanted = [...matcherText(name, ins, false), ...matcherText(name, outs, true)];
  let text = query;
  for (const { from, to } of found.filter(({ stage }) => stage).reverse())
    text = text.slice(0, from).trimEnd() + (text.slice(to).startsWith(' ') ? '' : ' ') + text.slice(to);
  text = text.trimEnd();
  text = withMatchers(
    text,
    new Set(found.filter(({ stage }) => !stage).map((each) => each.text)),
    inSelector ? wanted : [],
  );
  if (inSelector || wanted.length === 0) return text;
  if (origin === 'parsed' && parserStage && !firstNode(text, PARSER_NODES[parserStage] ?? ''))
    text = withStage(text, `| ${parserStage}`);
  return wanted.reduce((edited, matcher) => withStage(edited, `| ${matcher}`), text);
}

const PARSER_NODES: Record<string, string> = { json: 'Json', logfmt: 'Logfmt' };

function same(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((value) => b.includes(value));
}

function matcherText(name: string, values: string[], not: boolean): string[] {
  if (values.length === 0) return [];
  if (values.length === 1) return [`${name}${not ? '!=' : '='}${quoted(values[0] ?? '')}`];
  return [`${name}${not ? '!~' : '=~'}${quoted(values.map(escapePattern).join('|'))}`];
}

interface Found {
  text: string;
  from: number;
  to: number;
  not: boolean;
  /** True for a filter after a pipe, whose span then has its pipe. */
  stage: boolean;
  /** The values it names; undefined for a pattern that is more than a list of them. */
  values: string[] | undefined;
  /** True for `=~".+"`, which only says that the label is there. */
  presence: boolean;
}

/** The matchers of a name: in the braces, and in stages that hold nothing else. */
function matchersOf(query: string, name: string): Found[] {
  const found: Found[] = [];
  const selector = firstNode(query, 'Selector');
  parser.parse(query).iterate({
    enter: (node) => {
      if (node.name !== 'Matcher') return;
      const stage = node.node.parent?.name === 'LabelFilter' ? node.node.parent : undefined;
      const alone = stage?.parent?.name === 'PipelineStage' ? stage.parent : undefined;
      if (stage ? !alone : !(selector && node.from >= selector.from && node.to <= selector.to)) return;
      const text = query.slice(node.from, node.to);
      const parts = /^(\w+)\s*(=~|!~|!=|=)\s*([\s\S]+)$/.exec(text);
      if (!parts || parts[1] !== name) return;
      const [, , op = '=', literal = ''] = parts;
      const value = unquote(literal);
      found.push({
        text,
        from: (alone ?? node).from,
        to: (alone ?? node).to,
        not: op.startsWith('!'),
        stage: alone !== undefined,
        values: op.endsWith('~') ? literals(value) : [value],
        presence: op === '=~' && value === '.+',
      });
    },
  });
  return found;
}

/** The texts that a pattern like `a|b\.c` stands for; undefined for one that says more. */
export function literals(pattern: string): string[] | undefined {
  const values = [''];
  for (let at = 0; at < pattern.length; at++) {
    const sign = pattern[at] ?? '';
    if (sign === '|') values.push('');
    else if (sign === '\\' && /\W/.test(pattern[at + 1] ?? ' ')) values[values.length - 1] += pattern[++at] ?? '';
    else if (/[\\.+*?()[\]{}^$]/.test(sign)) return undefined;
    else values[values.length - 1] += sign;
  }
  return values;
}

function withMatchers(query: string, remove: ReadonlySet<string>, add: string[]): string {
  if (remove.size === 0 && add.length === 0) return query;
  const selector = firstNode(query, 'Selector');
  if (!selector) return `{${add.join(', ')}}`;
  const kept = splitMatchers(query.slice(selector.from + 1, selector.to - 1)).filter((each) => !remove.has(each));
  const matchers = [...kept, ...add];
  // A selector must ask for something; presence of what every row has asks for all.
  const chosen = matchers.some((each) => /^\w+\s*=~?\s*(?!["`]["`])/.test(each)) || !remove.size;
  const inside = (chosen ? matchers : [ALL_LOGS.slice(1, -1), ...matchers]).join(', ');
  return `${query.slice(0, selector.from)}{${inside}}${query.slice(selector.to)}`;
}

function splitMatchers(inside: string): string[] {
  const parts = inside.match(/[\w]+\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g);
  return parts ?? [];
}

/** The query with one more stage at its end. */
export function withStage(query: string, stage: string): string {
  const text = query.trimEnd() || ALL_LOGS;
  if (text.includes(stage)) return text;
  if (isMetricQuery(text)) return text;
  // A trailing comment would swallow what follows it on its line.
  const gap = /#[^\n"`]*$/.test(text) ? '\n' : ' ';
  return `${text}${gap}${stage}`;
}

function firstNode(query: string, name: string): { from: number; to: number } | undefined {
  let found: { from: number; to: number } | undefined;
  parser.parse(query).iterate({
    enter: (node) => {
      if (!found && node.name === name) found = { from: node.from, to: node.to };
      return !found;
    },
  });
  return found;
}

/** The braces of a query without its pipeline. */
export function selectorText(query: string): string {
  const selector = firstNode(query, 'Selector');
  return selector ? query.slice(selector.from, selector.to) : ALL_LOGS;
}

function counted(query: string, seconds: number): string {
  // A comment at the end would swallow the range.
  return `count_over_time(${query.trim()}${query.includes('#') ? '\n' : ' '}[${seconds}s])`;
}

/** Rows by severity in steps of time, for the picture above the rows. All names that senders use are asked for. */
export function levelQuery(query: string, stepSeconds: number): string {
  return `sum by (detected_level, severity_text, level) (${counted(query, stepSeconds)})`;
}

/** The most frequent values of a label among the rows of the query, with their counts. */
export function valueQuery(query: string, name: string, seconds: number, values: number): string {
  return `topk(${values}, sum by (${name}) (${counted(query, seconds)}))`;
}

/** What line filters look for, so that rows can mark it: texts, and patterns that are nothing but texts. */
export function searchedTexts(query: string): RegExp[] {
  const marks: RegExp[] = [];
  for (const [, op, literal = ''] of query.matchAll(/\|([=~])\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)) {
    const value = unquote(literal);
    const anyCase = op === '~' && value.startsWith('(?i)');
    // Only lists of texts: a pattern of somebody's own could take for ever on a long line.
    const texts =
      op === '=' ? [value] : literals(value.replace(/^\(\?i\)/, '').replace(/\(\?-i:((?:[^()\\]|\\.)*)\)/g, '$1'));
    const wanted = texts?.filter((text) => text !== '') ?? [];
    if (wanted.length) marks.push(new RegExp(wanted.map(escapePattern).join('|'), anyCase ? 'gi' : 'g'));
  }
  return marks;
}

function unquote(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}
