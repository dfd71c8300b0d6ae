/** A time range as the address bar holds it: `now`, `now-6h`, or milliseconds since the Unix epoch. */
export interface RangeText {
  from: string;
  to: string;
}

export interface Range {
  startMs: number;
  endMs: number;
}

export const DEFAULT_RANGE: RangeText = { from: 'now-1h', to: 'now' };

export const PRESETS: { label: string; from: string }[] = [
  { label: 'Last 5 minutes', from: 'now-5m' },
  { label: 'Last 15 minutes', from: 'now-15m' },
  { label: 'Last 30 minutes', from: 'now-30m' },
  { label: 'Last hour', from: 'now-1h' },
  { label: 'Last 3 hours', from: 'now-3h' },
  { label: 'Last 6 hours', from: 'now-6h' },
  { label: 'Last 12 hours', from: 'now-12h' },
  { label: 'Last 24 hours', from: 'now-1d' },
  { label: 'Last 2 days', from: 'now-2d' },
  { label: 'Last 7 days', from: 'now-7d' },
  { label: 'Last 30 days', from: 'now-30d' },
];

const UNIT_MS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

/** One end of a range in milliseconds; undefined when it is neither relative, a number, nor a date. */
export function resolveInstant(text: string, nowMs: number): number | undefined {
  const trimmed = text.trim();
  if (trimmed === 'now') return nowMs;
  const relative = /^now-(\d+)([smhdw])$/.exec(trimmed);
  if (relative) return nowMs - Number(relative[1]) * (UNIT_MS[relative[2] ?? ''] ?? 0);
  if (/^\d{10}$/.test(trimmed)) return Number(trimmed) * 1000;
  if (/^\d{11,}$/.test(trimmed)) return Number(trimmed);
  if (!/^\d{4}-\d\d-\d\d/.test(trimmed)) return undefined;
  // Local time: a date alone would be read as UTC, so it is given its midnight.
  const parsed = Date.parse(trimmed.replace(/^(\d{4}-\d\d-\d\d) /, '$1T').replace(/^\d{4}-\d\d-\d\d$/, '$&T00:00'));
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** The range in milliseconds; undefined when an end cannot be read or the start is not before the end. */
export function resolveRange(text: RangeText, nowMs: number): Range | undefined {
  const startMs = resolveInstant(text.from, nowMs);
  const endMs = resolveInstant(text.to, nowMs);
  if (startMs === undefined || endMs === undefined || startMs >= endMs) return undefined;
  return { startMs, endMs };
}

export function rangeLabel(text: RangeText, nowMs: number): string {
  const preset = text.to === 'now' ? PRESETS.find((each) => each.from === text.from) : undefined;
  if (preset) return preset.label;
  if (text.to === 'now' && text.from.startsWith('now-')) return `Last ${text.from.slice(4)}`;
  const range = resolveRange(text, nowMs);
  if (!range) return 'Invalid range';
  const sameDay = new Date(range.startMs).toDateString() === new Date(range.endMs).toDateString();
  return `${inputText(range.startMs)} to ${sameDay ? inputText(range.endMs).slice(11) : inputText(range.endMs)}`;
}

/** The range inside a sentence: "the last hour". */
export function rangePhrase(text: RangeText, nowMs: number): string {
  const label = rangeLabel(text, nowMs);
  return label.startsWith('Last ') ? `the last ${label.slice(5)}` : label;
}

/** Local time as people type it: `2026-11-22 06:30:00`. */
export function inputText(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const NICE_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

/** The smallest round step that gives at most `points` points, seconds. */
export function niceStep(range: Range, points: number): number {
  const wanted = (range.endMs - range.startMs) / 1000 / points;
  return NICE_STEPS.find((step) => step >= wanted) ?? Math.ceil(wanted / 86400) * 86400;
}

/** Both ends on multiples of the step, so that a refresh asks for the same buckets again instead of shifting them. */
export function alignRange(range: Range, stepSeconds: number): { start: number; end: number } {
  const start = Math.floor(range.startMs / 1000 / stepSeconds) * stepSeconds;
  const end = Math.floor(range.endMs / 1000 / stepSeconds) * stepSeconds;
  return { start, end: Math.max(end, start + stepSeconds) };
}

/** The first and the last bucket of a step that hold a part of the range, each by its beginning. */
export function bucketsOf(range: Range, stepSeconds: number): { first: number; last: number } {
  const first = Math.floor(range.startMs / 1000 / stepSeconds) * stepSeconds;
  const last = (Math.ceil(range.endMs / 1000 / stepSeconds) - 1) * stepSeconds;
  return { first, last: Math.max(first, last) };
}

export function toNs(ms: number): string {
  return (BigInt(Math.round(ms)) * 1_000_000n).toString();
}
