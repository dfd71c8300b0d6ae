import type { RecordFields } from '../../api/pipelines';

export interface Piece {
  text: string;
  kind: 'same' | 'removed' | 'added';
}

/** What is hidden is one word, whatever stands in its brackets. */
const WORDS = /\[masked:[^\]]*\]|[\p{L}\p{N}_]+|\s+|[^\s]/gu;
/** Longer texts are compared by their ends alone. */
const WORDS_MAX = 600;

/** Two texts, word by word: what stayed, what went, what came. */
export function textDiff(before: string, after: string): Piece[] {
  const a = before.match(WORDS) ?? [];
  const b = after.match(WORDS) ?? [];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const middle = between(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const same = (words: string[]): Piece => ({ text: words.join(''), kind: 'same' });
  return joined([same(a.slice(0, head)), ...middle, same(a.slice(a.length - tail))]);
}

/** By the longest common run of words. */
function between(a: string[], b: string[]): Piece[] {
  const whole: Piece[] = [
    { text: a.join(''), kind: 'removed' },
    { text: b.join(''), kind: 'added' },
  ];
  if (a.length > WORDS_MAX || b.length > WORDS_MAX) return whole;
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    const row = lengths[i];
    for (let j = b.length - 1; row && j >= 0; j--)
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      pieces.push({ text: a[i] ?? '', kind: 'same' });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1)))
      pieces.push({ text: a[i++] ?? '', kind: 'removed' });
    else pieces.push({ text: b[j++] ?? '', kind: 'added' });
  }
  return gathered(pieces);
}

/** Blanks and signs that two changes happen to share are part of the change: else a sentence reads like confetti. */
function gathered(pieces: Piece[]): Piece[] {
  const out: Piece[] = [];
  let [removed, added] = ['', ''];
  const close = () => {
    out.push({ text: removed, kind: 'removed' }, { text: added, kind: 'added' });
    [removed, added] = ['', ''];
  };
  pieces.forEach(({ text, kind }, index) => {
    const next = pieces[index + 1];
    const bridge = kind === 'same' && !/[\p{L}\p{N}]/u.test(text) && (removed || added) && next && next.kind !== 'same';
    if (kind === 'removed' || bridge) removed += text;
    if (kind === 'added' || bridge) added += text;
    if (kind === 'same' && !bridge) {
      close();
      out.push({ text, kind });
    }
  });
  close();
  return out;
}

function joined(pieces: Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces.filter(({ text }) => text !== '')) {
    const last = out.at(-1);
    if (last?.kind === piece.kind) last.text += piece.text;
    else out.push({ ...piece });
  }
  return out;
}

/** One thing that a record has otherwise than before. */
export interface Change {
  name: string;
  kind: 'added' | 'removed' | 'changed';
  before: string;
  after: string;
}

/** Fields by the words that people have for them; of the two of the level the number is not told. */
const FIELDS: Record<string, string> = {
  timestamp: 'time',
  severity_text: 'level',
  trace_id: 'trace',
  span_id: 'span',
  event_name: 'event',
};

/** A value on one line: texts as they are, what is nested as JSON. */
export function shownValue(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** What differs beside the line itself: fields of the record, then attributes, by name. */
export function changes(before: RecordFields, after: RecordFields): Change[] {
  const fields = (record: RecordFields): RecordFields =>
    Object.fromEntries(
      Object.entries(FIELDS).flatMap(([field, name]) => (field in record ? [[name, record[field]]] : [])),
    );
  // The number alone says the level where there is no text, or where the text stayed.
  const byNumber = before.severity_text === after.severity_text;
  const level = (record: RecordFields) =>
    byNumber && record.severity_number !== undefined ? { level: record.severity_number } : {};
  const own = differing({ ...fields(before), ...level(before) }, { ...fields(after), ...level(after) });
  return [...own, ...differing(attributesOf(before), attributesOf(after))];
}

export function attributesOf({ attributes }: RecordFields): RecordFields {
  return attributes !== null && typeof attributes === 'object' ? (attributes as RecordFields) : {};
}

function differing(before: RecordFields, after: RecordFields): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.sort().flatMap((name): Change[] => {
    const [was, is] = [before[name], after[name]];
    if (JSON.stringify(was) === JSON.stringify(is)) return [];
    const kind = was === undefined ? 'added' : is === undefined ? 'removed' : 'changed';
    return [
      { name, kind, before: was === undefined ? '' : shownValue(was), after: is === undefined ? '' : shownValue(is) },
    ];
  });
}
