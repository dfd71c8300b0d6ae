import type { LogRow } from '../../api/loki';

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];

export const LEVEL_COLORS: Record<Level, string> = {
  fatal: '--level-fatal',
  error: '--bad-fill',
  warn: '--warn-fill',
  info: '--info',
  debug: '--debug',
  trace: '--line-strong',
  unknown: '--level-unknown',
};

const NAMES: [RegExp, Level][] = [
  [/^(fatal|crit|emerg|alert|panic)/, 'fatal'],
  [/^(err|severe)/, 'error'],
  [/^warn/, 'warn'],
  [/^(info|notice)/, 'info'],
  [/^debug/, 'debug'],
  [/^(trace|verbose)/, 'trace'],
];

/** OpenTelemetry's severity numbers go by fours: 1-4 trace, 5-8 debug, up to 21-24 fatal. */
const NUMBERS: Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

export function levelOfLabels(labels: Record<string, string | undefined>): Level {
  for (const name of ['detected_level', 'severity_text', 'level', 'severity']) {
    const text = labels[name]?.trim().toLowerCase();
    if (!text) continue;
    const found = NAMES.find(([pattern]) => pattern.test(text));
    if (found) return found[1];
  }
  const number = Number(labels.severity_number);
  return (number >= 1 && number <= 24 ? NUMBERS[Math.floor((number - 1) / 4)] : undefined) ?? 'unknown';
}

export function levelOf(row: LogRow): Level {
  return levelOfLabels({ ...row.parsed, ...row.stream, ...row.metadata });
}
