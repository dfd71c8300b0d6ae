const two = (value: number) => String(value).padStart(2, '0');

/** Local clock time with milliseconds, for rows of one list. */
export function clock(ms: number): string {
  const date = new Date(ms);
  const millis = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}

/** `Nov 22` for rows that may span days. */
export function day(ms: number): string {
  return new Date(ms).toLocaleDateString('en-GB', { day: '2-digit', month: 'short' });
}

/** A nanosecond instant in full, UTC, with all nine digits: what a person copies into a report. */
export function isoNs(ns: string): string {
  const value = BigInt(ns);
  const seconds = value / 1_000_000_000n;
  const rest = (value % 1_000_000_000n).toString().padStart(9, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${rest}Z`;
}

export function nsToMs(ns: string): number {
  return Number(BigInt(ns) / 1000n) / 1000;
}
