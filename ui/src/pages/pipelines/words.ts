import type { Count, Described, InForce, Pipeline, Stage } from '../../api/pipelines';
import { formatCount, formatDuration, formatPercent } from '../../format/units';

export const counted = (count: number, one: string, many = `${one}s`) =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** "a", "a and b", "a, b and c". */
export function listed(items: string[]): string {
  const last = items.at(-1) ?? '';
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} and ${last}`;
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value));

/** A name of a file as people say it: `health_check` is "health check". */
export const spoken = (name: string) => name.replace(/[_.-]+/g, ' ').trim();

/** A condition that always holds says nothing. */
export const conditionOf = (when: string) => (when.trim() === 'true' ? '' : when.trim());

/** Whose records go through it. */
export function whose({ businessService, service, component }: Described): string {
  const named = [businessService, service, component].filter(Boolean);
  return named.length ? `Records of ${named.join(' / ')}` : 'Everybody’s records';
}

const FORMATS: Record<string, string> = {
  json: 'as JSON',
  logfmt: 'as pairs of key and value',
  regexp: 'by a pattern',
};
const KINDS: Record<string, string> = {
  secrets: 'passwords, keys and tokens',
  card: 'payment cards',
  email: 'e-mail addresses',
  phone: 'phone numbers',
  iban: 'bank account numbers',
};

/** What a stage does, for somebody who has not read the file. */
export function stageWords({ kind, does }: Stage): string {
  const from = text(does.from) ? `the attribute ${text(does.from)}` : 'the line';
  switch (kind) {
    case 'parse':
      if (does.format === 'timestamp') return `Takes the time from ${from}`;
      if (does.format === 'severity') return `Takes the level from ${from}`;
      return `Reads ${from} ${FORMATS[text(does.format)] ?? `as ${text(does.format)}`}`;
    case 'vrl':
      return 'Runs a program of its own';
    case 'mask':
      return `Hides ${hidden(does)}`;
    case 'drop':
      return does.reason === 'dropped' ? 'Drops records' : `Drops “${spoken(text(does.reason))}” records`;
    case 'sample':
      return `Keeps ${share(Number(does.keep), does.by === 'trace' ? 'traces, each whole' : 'records')}`;
    case 'dedupe':
      return `Keeps the first of those that repeat within ${window(Number(does.window_seconds))}`;
    case 'metric':
      return measured(does);
    case 'event':
      return `Calls it the event ${text(does.name)}`;
    case 'enrich':
      return `Adds what the table ${text(does.table)} says of ${text(does.from)}`;
    case 'route':
      return `Marks it to go to ${text(does.hint)}`;
    default:
      return kind;
  }
}

function hidden(does: Record<string, unknown>): string {
  const kinds = texts(does.kinds).map((kind) => KINDS[kind] ?? kind);
  const fields = texts(does.fields);
  const patterns = texts(does.patterns).map((name) => `what looks like ${spoken(name)}`);
  const all = [
    ...kinds,
    ...(fields.length ? [`the ${fields.length === 1 ? 'field' : 'fields'} ${fields.join(', ')}`] : []),
    ...patterns,
  ];
  const places = texts(does.in);
  const everywhere = places.includes('body') && places.includes('attributes');
  const named = places.map((place) => (place === 'body' ? 'the line' : place === 'attributes' ? 'attributes' : place));
  const where = everywhere ? '' : ` in ${listed(named)}`;
  const how =
    does.with === 'pseudonym' ? ', each behind a pseudonym' : does.with === 'partial' ? ', but for a hint of each' : '';
  return `${listed(all)}${where}${how}`;
}

function share(keep: number, of: string): string {
  if (keep <= 0) return 'none';
  if (keep >= 1) return 'all';
  const one = 1 / keep;
  return Math.abs(one - Math.round(one)) < 1e-6
    ? `1 of ${formatCount(Math.round(one))} ${of}`
    : `${formatPercent(keep)} of ${of}`;
}

function window(seconds: number): string {
  if (seconds % 3600 === 0) return counted(seconds / 3600, 'hour');
  if (seconds % 60 === 0) return counted(seconds / 60, 'minute');
  return counted(seconds, 'second');
}

function measured(does: Record<string, unknown>): string {
  const [name, value] = [text(does.name), text(does.value)];
  if (does.kind === 'histogram') return `Measures ${value} as the metric ${name}`;
  return value ? `Adds up ${value} as the metric ${name}` : `Counts records as the metric ${name}`;
}

/** Programs and conditions in the place of what they say. */
export function programOf({ kind, does }: Stage): string {
  return kind === 'vrl' ? text(does.program).trim() : '';
}

const DROPPED: Record<string, string> = { sampled: 'left out by the sample', repeated: 'repetitions', dropped: '' };
const FAILED: Record<string, string> = {
  error: 'the program failed',
  aborted: 'the program gave up',
  time: 'it took too long',
  memory: 'it needed too much memory',
  bad_value: 'a value was of another kind',
  no_match: 'the text did not fit',
  no_number: 'it was no number',
  series_max: 'there were too many series',
  no_pseudonym_key: 'the server has no key for pseudonyms',
};

export const droppedWords = (reason: string) => DROPPED[reason] ?? spoken(reason);
export const failedWords = (reason: string) => FAILED[reason] ?? spoken(reason);

/** One thing that a stage did. */
export interface Deed {
  what: 'dropped' | 'masked' | 'failed';
  says: string;
}

/** What one stage did since the start, of all reasons. `match` is the condition of the whole. */
export function deeds(stage: string, counts: Count[]): Deed[] {
  const sums = new Map<string, Count>();
  for (const count of counts.filter((each) => each.stage === stage)) {
    const key = `${count.what} ${count.what === 'masked' ? '' : count.reason}`;
    sums.set(key, { ...count, count: count.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()].flatMap(({ what, reason, count }): Deed[] => {
    const why = what === 'dropped' ? droppedWords(reason) : failedWords(reason);
    if (what === 'dropped') return [{ what, says: `${formatCount(count)} dropped${why && `: ${why}`}` }];
    if (what === 'masked') return [{ what, says: `${counted(count, 'value')} hidden` }];
    return what === 'failed' ? [{ what, says: `${formatCount(count)} left as they were: ${why}` }] : [];
  });
}

const sum = (pipelines: Pipeline[], what: string) =>
  pipelines.flatMap(({ counts }) => counts).reduce((all, each) => all + (each.what === what ? each.count : 0), 0);

/** How long ago counting began, in words. */
export function sinceWords(sinceMs: number, nowMs: number): string {
  return `in the ${formatDuration(Math.max(0, Math.round((nowMs - sinceMs) / 1000) * 1000))} since the server started`;
}

/** What stands where a stage of that kind did nothing; what changes a record otherwise nobody counts. */
export function nothingWords(kind: string): string {
  if (kind === 'mask') return 'nothing hidden';
  return ['drop', 'sample', 'dedupe'].includes(kind) ? 'none dropped' : '';
}

/** The sentence on top of the page. */
export function verdict(
  { sinceMs, pipelines }: InForce,
  nowMs: number,
): { tone: 'ok' | 'warn' | undefined; title: string; text: string } {
  if (pipelines.length === 0)
    return {
      tone: undefined,
      title: 'Log records are stored as they come',
      text: 'No pipeline is in force. A pipeline hides what nobody is to read, drops what nobody needs and counts what is a number, before a record is stored.',
    };
  const [records, dropped, masked, failed] = ['seen', 'dropped', 'masked', 'failed'].map((what) =>
    sum(pipelines, what),
  );
  const since = sinceWords(sinceMs, nowMs);
  const title = `${counted(pipelines.length, 'pipeline')} ${pipelines.length === 1 ? 'works' : 'work'} on log records before they are stored`;
  if (!records)
    return {
      tone: undefined,
      title,
      text: `No record went through ${pipelines.length === 1 ? 'it' : 'them'} ${since}.`,
    };
  const did = [
    dropped ? `${formatCount(dropped)} dropped` : 'none dropped',
    masked ? `${counted(masked, 'value')} hidden` : 'no value hidden',
    ...(failed ? [`${counted(failed, 'time')} a stage could not do its work`] : []),
  ];
  const through =
    pipelines.length === 1
      ? `${counted(records, 'record')} went through`
      : `Records went through ${formatCount(records)} times`;
  return { tone: failed ? 'warn' : 'ok', title, text: `${through} ${since}: ${listed(did)}.` };
}
