import type { BoardSummary, FlowTile, NumberTile, Tile } from '../../api/boards';

/** The times that a board's reader may choose: the board's own, or one of these. */
export const SPANS = [
  { span: 'today', label: 'Today' },
  { span: '1h', label: 'Last hour' },
  { span: '24h', label: '24 hours' },
  { span: '7d', label: '7 days' },
] as const;
export type Span = (typeof SPANS)[number]['span'];

const SECONDS: Record<Exclude<Span, 'today'>, number> = { '1h': 3600, '24h': 86400, '7d': 7 * 86400 };

/** What the board shows unless its reader chose: one of the spans where it is one, or undefined. */
export function ownSpan({ range }: BoardSummary): Span | undefined {
  if (range === 'today') return 'today';
  return SPANS.find(({ span }) => span !== 'today' && SECONDS[span] === range)?.span;
}

/** From when on, in Unix seconds. Today begins at midnight where the reader is. */
export function startOf(range: BoardSummary['range'], now: Date): number {
  if (range !== 'today') return Math.floor(now.getTime() / 1000) - range;
  return Math.floor(new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000);
}

export function rangeOf(span: Span): BoardSummary['range'] {
  return span === 'today' ? 'today' : SECONDS[span];
}

/** "today, since midnight", "the last 24 hours". */
export function timeWords(range: BoardSummary['range']): string {
  return range === 'today' ? 'today, since midnight' : `the last ${lengthWords(range)}`;
}

export function lengthWords(seconds: number): string {
  for (const [unit, length] of [
    ['week', 7 * 86400],
    ['day', 86400],
    ['hour', 3600],
    ['minute', 60],
  ] as const) {
    if (seconds >= length && seconds % length === 0 && !(unit === 'day' && seconds === 86400)) {
      const count = seconds / length;
      return count === 1 ? unit : `${count} ${unit}s`;
    }
  }
  return seconds === 86400 ? '24 hours' : `${seconds} seconds`;
}

/** A number as a person writes it: whole ones whole, others with three digits that count. */
export function formatCount(value: number): string {
  if (Math.abs(value) >= 1e6) {
    return new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 }).format(value);
  }
  const whole = Number.isInteger(value) || Math.abs(value) >= 1000;
  return new Intl.NumberFormat('en', whole ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 }).format(
    value,
  );
}

/** The word for so many: `person|people` has one for one, and one for the others. */
export function unitWord(value: number, unit: string): string {
  const [one, many] = unit.split('|');
  return (value === 1 ? one : (many ?? one))?.trim() ?? '';
}

/** Units that are signs stand at the number, words with a space. */
export function withUnit(value: number, unit: string): string {
  const word = unitWord(value, unit);
  if (!word) return formatCount(value);
  return word === '%' ? `${formatCount(value)}%` : `${formatCount(value)} ${word}`;
}

/** How many of a row's twelve columns each tile takes: numbers share rows, and nothing leaves a hole. */
export function spansOf(kinds: Tile['kind'][]): number[] {
  const spans: number[] = [];
  for (let begin = 0; begin < kinds.length;) {
    const small = kinds[begin] === 'number';
    let end = begin;
    while (end < kinds.length && (kinds[end] === 'number') === small) end += 1;
    const length = end - begin;
    for (let place = 0; place < length; place += 1) {
      if (small) spans.push(length % 4 === 0 ? 3 : length % 3 === 0 ? 4 : length === 1 ? 12 : length % 2 === 0 ? 6 : 3);
      else spans.push(length % 2 === 1 && place === length - 1 ? 12 : 6);
    }
    begin = end;
  }
  return spans;
}

export interface Comparison {
  text: string;
  /** What the arrow beside it shows. */
  way: 'up' | 'down' | 'same';
  news: 'good' | 'bad' | 'none';
}

/** How a number compares with the time before; undefined where there is nothing to compare. */
export function compare(tile: NumberTile, range: BoardSummary['range']): Comparison | undefined {
  const { value, before, compares, good } = tile;
  if (!compares || value === undefined) return undefined;
  const when = range === 'today' ? 'yesterday by this time' : `the ${lengthWords(range)} before`;
  if (before === undefined) return { text: `nothing ${when}`, way: 'same', news: 'none' };
  if (before === 0 && value > 0) return { text: `none ${when}`, way: 'up', news: 'none' };
  if (value === before) return { text: `as ${when}`, way: 'same', news: 'none' };
  const way = value > before ? 'up' : 'down';
  const news = good === undefined ? 'none' : good === way ? 'good' : 'bad';
  const word = way === 'up' ? 'more' : 'less';
  const share = Math.abs(value - before) / Math.abs(before);
  const amount =
    share >= 10
      ? `${formatCount(Math.abs(value - before))} ${word}`
      : `${formatCount(Math.max(Math.round(share * 100), 1))}% ${word}`;
  return { text: `${amount} than ${when}`, way, news };
}

export interface FlowStep {
  name: string;
  value: number | undefined;
  /** Of the first step, 0 to 1: how long the bar is. */
  share: number;
  /** What became of those of the step before; empty for the first. */
  text: string;
}

export function flowSteps({ steps }: FlowTile): FlowStep[] {
  const most = Math.max(...steps.map(({ value }) => value ?? 0), 0);
  return steps.map(({ name, value }, index) => {
    const share = most > 0 && value !== undefined ? value / most : 0;
    const before = index > 0 ? steps[index - 1]?.value : undefined;
    let text = '';
    if (value !== undefined && before !== undefined && before > 0) {
      const lost = before - value;
      // What is counted at two places is never counted at one instant.
      if (lost <= 0 && -lost < before / 50) text = 'all of them go on';
      else if (lost <= 0) text = `${formatCount(-lost)} more than the step before`;
      else text = `${percent(value / before)} go on, ${formatCount(lost)} ${lost === 1 ? 'does' : 'do'} not`;
    }
    return { name, value, share, text };
  });
}

function percent(share: number): string {
  const text = (share * 100).toFixed(share > 0.99 || share < 0.01 ? 1 : 0);
  // Nearly all are not all.
  return `${text === '100.0' ? '99.9' : text}%`;
}

/** "just now", "3 min ago", then the time of day. */
export function ago(ms: number, nowMs: number): string {
  const seconds = Math.max(Math.round((nowMs - ms) / 1000), 0);
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  const date = new Date(ms);
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return date.toDateString() === new Date(nowMs).toDateString()
    ? time
    : `${date.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${time}`;
}
