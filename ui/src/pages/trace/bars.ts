import type { Interval } from './tree';

/** The part of the trace that shows, milliseconds from its start. */
export interface Window {
  from: number;
  to: number;
}

/** More stripes than this no eye tells apart. */
const STRIPES_MAX = 80;

/** The part of an interval inside the window as shares of the window's width; undefined when nothing of it shows. */
export function inWindow([start, end]: Interval, { from, to }: Window): { left: number; width: number } | undefined {
  const width = to - from;
  if (end < from || start > to || !(width > 0)) return width > 0 ? undefined : { left: 0, width: 1 };
  const left = Math.max(0, (start - from) / width);
  return { left, width: Math.min(1, (end - from) / width) - left };
}

/** A background that shows one colour in these parts of `from` to `to` and nothing between them; undefined when it is nothing. */
export function stripes(parts: Interval[], from: number, to: number, color: string): string | undefined {
  if (!(to > from)) return parts.length ? `linear-gradient(${color}, ${color})` : undefined;
  let shown = parts
    .map(([start, end]): Interval => [Math.max(from, start), Math.min(to, end)])
    .filter(([start, end]) => end > start);
  if (shown.length === 0) return undefined;
  if (shown.length > STRIPES_MAX) {
    const least = [...shown].sort((a, b) => b[1] - b[0] - (a[1] - a[0]))[STRIPES_MAX - 1];
    const narrowest = least ? least[1] - least[0] : 0;
    shown = shown.filter(([start, end]) => end - start >= narrowest).slice(0, STRIPES_MAX);
  }
  const place = (at: number) => `${(((at - from) / (to - from)) * 100).toFixed(3)}%`;
  const stops = shown.flatMap(([start, end]) => [
    `transparent ${place(start)}`,
    `${color} ${place(start)}`,
    `${color} ${place(end)}`,
    `transparent ${place(end)}`,
  ]);
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}
