import { conditionsOf, printConditions, printValue, type Condition, type Operator, type Value } from './traceql';

export const STATUSES = ['any', 'error', 'ok', 'unset'] as const;
export type Status = (typeof STATUSES)[number];

/** What the form holds, as it was typed. */
export interface Criteria {
  service: string;
  operation: string;
  status: Status;
  /** How long the whole trace took at least and at most. */
  min: string;
  max: string;
  /** `http.route=/v1 http.response.status_code>=500`. */
  attributes: string;
}

export const NO_CRITERIA: Criteria = { service: '', operation: '', status: 'any', min: '', max: '', attributes: '' };

const SERVICE = 'resource.service.name';
/** Names of TraceQL itself; every other name is that of an attribute. */
const INTRINSICS = new Set([
  ...['name', 'kind', 'status', 'statusMessage', 'duration', 'traceDuration', 'rootName', 'rootServiceName', 'parent'],
  ...['childCount', 'nestedSetLeft', 'nestedSetRight', 'nestedSetParent'],
]);
const SCOPED =
  /^(?:\.|(?:span|resource|event|link|instrumentation|parent)\.|(?:span|trace|event|link|instrumentation):)/;

/** A duration as TraceQL reads it: `250ms`, `1.5s`; a bare number is milliseconds. Undefined when it is none. */
export function readDuration(text: string): string | undefined {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)?\s*$/.exec(text);
  return found ? `${found[1]}${found[2] ?? 'ms'}` : undefined;
}

/** What is wrong with a field, in words; undefined when the form can be asked. */
export function mistakeIn(criteria: Criteria): { field: keyof Criteria; words: string } | undefined {
  for (const field of ['min', 'max'] as const)
    if (criteria[field].trim() !== '' && !readDuration(criteria[field])) return { field, words: 'Like 250ms or 1.5s' };
  if (!readAttributes(criteria.attributes))
    return { field: 'attributes', words: 'Like http.route=/v1 http.response.status_code>=500' };
  return undefined;
}

/** The TraceQL of the form; what is half typed is left out. */
export function toTraceql(criteria: Criteria): string {
  const conditions: Condition[] = [];
  const add = (name: string, op: Operator, kind: Value['kind'], text: string | undefined) => {
    if (text) conditions.push({ name, op, value: { kind, text } });
  };
  add(SERVICE, '=', 'string', criteria.service.trim());
  add('name', '=', 'string', criteria.operation.trim());
  if (criteria.status !== 'any') add('status', '=', 'word', criteria.status);
  conditions.push(...(readAttributes(criteria.attributes) ?? []));
  add('traceDuration', '>=', 'duration', readDuration(criteria.min));
  add('traceDuration', '<=', 'duration', readDuration(criteria.max));
  return printConditions(conditions);
}

/** The form that writes this query; undefined when no form does. */
export function toCriteria(query: string): Criteria | undefined {
  const conditions = conditionsOf(query);
  if (!conditions) return undefined;
  const criteria = { ...NO_CRITERIA };
  const others: Condition[] = [];
  for (const condition of conditions) {
    const { name, op, value } = condition;
    const free = (field: keyof Criteria) => criteria[field] === NO_CRITERIA[field];
    if (name === SERVICE && op === '=' && value.kind === 'string' && free('service')) criteria.service = value.text;
    else if (name === 'name' && op === '=' && value.kind === 'string' && free('operation'))
      criteria.operation = value.text;
    else if (name === 'status' && op === '=' && isStatus(value.text) && free('status')) criteria.status = value.text;
    else if (name === 'traceDuration' && op === '>=' && value.kind === 'duration' && free('min'))
      criteria.min = value.text;
    else if (name === 'traceDuration' && op === '<=' && value.kind === 'duration' && free('max'))
      criteria.max = value.text;
    else others.push(condition);
  }
  criteria.attributes = others.map(printAttribute).join(' ');
  return criteria;
}

function isStatus(text: string): text is Status {
  return (STATUSES as readonly string[]).includes(text) && text !== 'any';
}

/** The field for attributes: pairs apart by spaces, values with spaces in quotes. Undefined when it cannot be read. */
export function readAttributes(text: string): Condition[] | undefined {
  const found: Condition[] = [];
  let rest = text.trim();
  while (rest !== '') {
    const pair = /^([^\s=!<>~"]+)\s*(=~|!~|!=|>=|<=|=|>|<)\s*("(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s|$)/.exec(rest);
    const [whole = '', name = '', op = '', value = ''] = pair ?? [];
    if (!pair) return undefined;
    found.push({ name: scoped(name), op: op as Operator, value: readValue(value, op as Operator) });
    rest = rest.slice(whole.length).trimStart();
  }
  return found;
}

function scoped(name: string): string {
  return INTRINSICS.has(name) || SCOPED.test(name) ? name : `.${name}`;
}

const BARE_WORD = /^(?:true|false|nil|error|ok|unset|server|client|producer|consumer|internal)$/;

function readValue(text: string, op: Operator): Value {
  if (text.startsWith('"')) return { kind: 'string', text: text.slice(1, -1).replace(/\\(.)/g, '$1') };
  if (op === '=~' || op === '!~') return { kind: 'string', text };
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return { kind: 'number', text };
  if (/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return { kind: 'duration', text };
  return { kind: BARE_WORD.test(text) ? 'word' : 'string', text };
}

function printAttribute({ name, op, value }: Condition): string {
  const bare = name.startsWith('.') ? name.slice(1) : name;
  const shown = INTRINSICS.has(bare) || SCOPED.test(bare) ? name : bare;
  const plain = value.kind === 'string' && !/[\s"\\]/.test(value.text) && value.text !== '';
  const same = plain && readValue(value.text, op).kind === 'string';
  return `${shown}${op}${same ? value.text : printValue(value)}`;
}

const OPERATORS: Record<Operator, string> = {
  '=': 'is',
  '!=': 'is not',
  '>': 'is more than',
  '>=': 'is at least',
  '<': 'is less than',
  '<=': 'is at most',
  '=~': 'matches',
  '!~': 'does not match',
};

/** A part of the sentence that says what a query asks; what came from the query is set apart. */
export type Phrase = string | { code: string };

/** What a query means, for somebody who knows no TraceQL; undefined for queries that the form cannot write. */
export function meaningOf(query: string): Phrase[] | undefined {
  const conditions = conditionsOf(query);
  if (!conditions) return undefined;
  const ofTrace = conditions.filter(({ name }) => isOfTrace(name));
  const ofSpan = conditions.filter(({ name }) => !isOfTrace(name));
  if (conditions.length === 0) return ['Every trace.'];
  const words: Phrase[] = [];
  if (ofSpan.length === 0) words.push('Every trace');
  else words.push('Traces in which ', ofSpan.length > 1 ? 'one span ' : 'a span ', ...joined(ofSpan.map(phraseOf)));
  if (ofTrace.length) words.push(ofSpan.length ? ', and that ' : ' that ', ...joined(ofTrace.map(phraseOf)));
  words.push('.');
  return words;
}

function isOfTrace(name: string): boolean {
  return /^(?:traceDuration|rootName|rootServiceName|trace:.*)$/.test(name);
}

function phraseOf({ name, op, value }: Condition): Phrase[] {
  const text = { code: value.text === '' ? '""' : value.text };
  if (name === SERVICE && op === '=') return ['was in the service ', text];
  if (name === 'name' && op === '=') return ['was called ', text];
  if (name === 'status' && op === '=') {
    if (value.text === 'error') return ['failed'];
    return value.text === 'ok' ? ['was marked as well done'] : ['neither failed nor was marked as well done'];
  }
  if (name === 'duration') return [`took ${LENGTHS[op] ?? op} `, text];
  if (name === 'traceDuration') return [`took ${LENGTHS[op] ?? op} `, text, ' as a whole'];
  if (name === 'rootServiceName') return [`began in a service that ${OPERATORS[op]} `, text];
  return ['has ', { code: name.replace(/^\./, '') }, ` that ${OPERATORS[op]} `, text];
}

const LENGTHS: Partial<Record<Operator, string>> = {
  '>': 'more than',
  '>=': 'at least',
  '<': 'less than',
  '<=': 'at most',
  '=': 'exactly',
};

function joined(phrases: Phrase[][]): Phrase[] {
  return phrases.flatMap((phrase, index) => [
    ...(index === 0 ? [] : [index === phrases.length - 1 ? ' and ' : ', ']),
    ...phrase,
  ]);
}
