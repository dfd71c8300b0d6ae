/** One comparison of TraceQL: `span.http.route = "/v1"`. */
export interface Condition {
  name: string;
  op: Operator;
  value: Value;
}

export type Operator = '=' | '!=' | '>' | '>=' | '<' | '<=' | '=~' | '!~';

/** A value as it is written, without the quotes of a string. */
export interface Value {
  kind: 'string' | 'number' | 'duration' | 'word';
  text: string;
}

interface Token {
  kind: 'name' | 'op' | 'mark' | Value['kind'];
  text: string;
}

const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])/i;
const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+(?!\w)/;
const NAME = /^(?:[A-Za-z_.][\w:.\-/]*(?:"(?:[^"\\]|\\.)*")?)+/;
const WORDS = new Set([
  'error',
  'ok',
  'unset',
  'true',
  'false',
  'nil',
  'server',
  'client',
  'producer',
  'consumer',
  'internal',
  'unspecified',
]);

/** The words of a query; undefined for what is none. */
export function tokensOf(query: string): Token[] | undefined {
  const tokens: Token[] = [];
  let rest = query.trimStart();
  while (rest !== '') {
    const token = nextToken(rest);
    if (!token) return undefined;
    tokens.push(token.token);
    rest = rest.slice(token.length).trimStart();
  }
  return tokens;
}

function nextToken(rest: string): { token: Token; length: number } | undefined {
  const mark = /^(?:&&|\|\||[{}()|,]|>>|<<|!>>|!<<|&>>|&<<)/.exec(rest)?.[0];
  if (mark && mark !== '>' && mark !== '<') return { token: { kind: 'mark', text: mark }, length: mark.length };
  const op = /^(?:=~|!~|!=|>=|<=|=|>|<)/.exec(rest)?.[0];
  if (op) return { token: { kind: 'op', text: op }, length: op.length };
  const string = /^"((?:[^"\\]|\\.)*)"|^`([^`]*)`/.exec(rest);
  if (string) {
    const text = string[2] ?? (string[1] ?? '').replace(/\\(.)/g, (_, char: string) => ESCAPES[char] ?? char);
    return { token: { kind: 'string', text }, length: string[0].length };
  }
  const duration = DURATION.exec(rest)?.[0];
  if (duration) return { token: { kind: 'duration', text: duration }, length: duration.length };
  const number = NUMBER.exec(rest)?.[0];
  if (number) return { token: { kind: 'number', text: number }, length: number.length };
  const name = NAME.exec(rest)?.[0];
  if (name) return { token: { kind: WORDS.has(name) ? 'word' : 'name', text: name }, length: name.length };
  return undefined;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r' };

/** The comparisons of a query that asks for one span in which all of them hold; undefined for every other query. */
export function conditionsOf(query: string): Condition[] | undefined {
  if (query.trim() === '') return [];
  const tokens = tokensOf(query);
  if (!tokens || tokens[0]?.text !== '{' || tokens.at(-1)?.text !== '}' || tokens.at(-1)?.kind !== 'mark')
    return undefined;
  const inner = tokens.slice(1, -1);
  if (inner.length === 0) return [];
  const found: Condition[] = [];
  for (let at = 0; at < inner.length; at += 4) {
    const [name, op, value, and] = inner.slice(at, at + 4);
    if (
      name?.kind !== 'name' ||
      op?.kind !== 'op' ||
      !value ||
      value.kind === 'mark' ||
      value.kind === 'op' ||
      value.kind === 'name'
    )
      return undefined;
    if (and ? and.text !== '&&' || at + 4 >= inner.length : false) return undefined;
    found.push({ name: name.text, op: op.text as Operator, value: { kind: value.kind, text: value.text } });
  }
  return found;
}

export function printConditions(conditions: Condition[]): string {
  if (conditions.length === 0) return '{}';
  return `{ ${conditions.map(({ name, op, value }) => `${name} ${op} ${printValue(value)}`).join(' && ')} }`;
}

export function printValue({ kind, text }: Value): string {
  return kind === 'string' ? quoted(text) : text;
}

/** A string of TraceQL. */
export function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** A query that asks for what this one does and, in the same trace, for a span with these conditions; undefined behind a pipe. */
export function narrowed(query: string, conditions: Condition[]): string | undefined {
  const simple = conditionsOf(query);
  if (simple?.length === 0) return printConditions(conditions);
  const tokens = tokensOf(query);
  if (!tokens || tokens.some(({ kind, text }) => kind === 'mark' && text === '|')) return undefined;
  return `(${query.trim()}) && ${printConditions(conditions)}`;
}

/** Spans of a business service, as Tyto wrote it into their resource; those that failed where only they are wanted. */
export function ofBusiness(name: string, failed = false): string {
  const conditions: Condition[] = [
    { name: 'resource.omd.business_service', op: '=', value: { kind: 'string', text: name } },
    { name: 'status', op: '=', value: { kind: 'word', text: 'error' } },
  ];
  return printConditions(failed ? conditions : conditions.slice(0, 1));
}
