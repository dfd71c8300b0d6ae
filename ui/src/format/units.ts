export const UNITS = [
  'none',
  'seconds',
  'milliseconds',
  'bytes',
  'bits',
  'ratio',
  'percent',
  'per_second',
  'bytes_per_second',
  'bits_per_second',
  'date',
] as const;
export type Unit = (typeof UNITS)[number];

/** How a person calls the unit. */
export const UNIT_NAMES: Record<Unit, string> = {
  none: 'Plain number',
  seconds: 'Seconds',
  milliseconds: 'Milliseconds',
  bytes: 'Bytes',
  bits: 'Bits',
  ratio: 'Share (0 to 1)',
  percent: 'Percent (0 to 100)',
  per_second: 'Per second',
  bytes_per_second: 'Bytes per second',
  bits_per_second: 'Bits per second',
  date: 'Date (Unix seconds)',
};

/** Guesses what a query's numbers are from the metric's name suffix and the function that wraps it. */
export function guessUnit(query: string): Unit {
  const rated = /\b(rate|irate|deriv)\s*\(/.test(query);
  if (/histogram_quantile|histogram_avg/.test(query)) {
    if (/_milliseconds/.test(query)) return 'milliseconds';
    if (/_bytes/.test(query)) return 'bytes';
    if (/_seconds/.test(query)) return 'seconds';
  }
  if (/(_ratio|_utilization)\b/.test(query) || /\/\s*(ignoring|on)?\s*(\(.*?\))?\s*sum/.test(query)) return 'ratio';
  if (/_bytes(_total|_sum)?\b/.test(query)) return rated ? 'bytes_per_second' : 'bytes';
  if (rated && /_seconds_sum\b.*\/.*_count\b/s.test(query)) return 'seconds';
  if (/_count\b|_bucket\b/.test(query)) return rated ? 'per_second' : 'none';
  if (/_milliseconds(_total|_sum)?\b/.test(query)) return rated ? 'none' : 'milliseconds';
  if (/_seconds(_total|_sum)?\b/.test(query)) return rated ? 'none' : 'seconds';
  return rated ? 'per_second' : 'none';
}

const NONE = '–';

export function formatUnit(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? NONE : value > 0 ? '∞' : '-∞';
  switch (unit) {
    case 'seconds':
      return formatDuration(value * 1e3);
    case 'milliseconds':
      return formatDuration(value);
    case 'bytes':
      return formatBytes(value);
    case 'bytes_per_second':
      return `${formatBytes(value)}/s`;
    case 'bits':
      return `${formatNumber(value)} bit`;
    case 'bits_per_second':
      return `${formatNumber(value)} bit/s`;
    case 'ratio':
      return formatPercent(value);
    case 'percent':
      return formatPercent(value / 100);
    case 'date':
      return formatDate(value);
    case 'per_second':
      return `${formatNumber(value)}/s`;
    case 'none':
      return formatNumber(value);
  }
}

function formatDate(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? NONE : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Three significant digits with an SI letter: 12.3k, 4.56M. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return '0';
  for (const [limit, letter] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ] as const) {
    if (size >= limit) return `${significant(value / (letter === 'k' ? 1e3 : limit))}${letter}`;
  }
  if (size >= 1000) return String(Math.round(value));
  return size < 0.001 ? value.toExponential(1) : significant(value);
}

function significant(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function formatBytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let index = 0;
  let rest = value;
  while (Math.abs(rest) >= 1024 && index < units.length - 1) {
    rest /= 1024;
    index += 1;
  }
  return `${significant(rest)} ${units[index] ?? 'B'}`;
}

export function formatPercent(ratio: number): string {
  if (!Number.isFinite(ratio)) return NONE;
  const percent = ratio * 100;
  if (percent === 0) return '0 %';
  if (Math.abs(percent) < 0.01) return '< 0.01 %';
  return `${percent < 10 ? Number(percent.toFixed(2)) : Number(percent.toFixed(1))} %`;
}

/** A length of time given in milliseconds, in the unit a person would say. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return NONE;
  const size = Math.abs(ms);
  if (size === 0) return '0 ms';
  if (size < 0.001) return `${Math.round(ms * 1e6)} ns`;
  if (size < 1) return `${significant(ms * 1e3)} µs`;
  if (size < 1000) return `${significant(ms)} ms`;
  if (size < 60e3) return `${significant(ms / 1e3)} s`;
  if (size < 3600e3) return `${Math.floor(ms / 60e3)} min ${Math.round((ms % 60e3) / 1e3)} s`;
  if (size < 86400e3) return `${Math.floor(ms / 3600e3)} h ${Math.round((ms % 3600e3) / 60e3)} min`;
  return `${Math.floor(ms / 86400e3)} d ${Math.round((ms % 86400e3) / 3600e3)} h`;
}

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
}
