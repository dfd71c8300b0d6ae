import type { Change, Pattern, Patterns } from '../../api/patterns';
import { formatCount } from '../../format/units';

/** What changed comes first, what is as it was comes last. */
const ORDER: Change[] = ['new', 'grew', 'vanished', 'fell', 'steady'];

export const CHANGE_WORDS: Record<Change, string> = {
  new: 'New',
  grew: 'Grew',
  vanished: 'Vanished',
  fell: 'Fell',
  steady: 'Steady',
};

export function sortedPatterns(patterns: Pattern[]): Pattern[] {
  return [...patterns].sort(
    (a, b) =>
      ORDER.indexOf(a.change) - ORDER.indexOf(b.change) ||
      Math.max(b.count, b.countBefore) - Math.max(a.count, a.countBefore),
  );
}

/** How a count stands against the one before, as a person says it. */
export function changeText({ change, count, countBefore }: Pattern): string {
  if (change === 'new') return 'not seen in the time before';
  if (change === 'vanished') return `${formatCount(countBefore)} before, none now`;
  if (countBefore === 0) return '';
  const ratio = count / countBefore;
  if (change === 'grew' && ratio >= 1.95) return `${Number(ratio.toPrecision(2))} times as often as before`;
  const percent = Math.round(Math.abs(ratio - 1) * 100);
  if (percent < 1) return 'as often as before';
  return `${percent} % ${ratio > 1 ? 'more' : 'less'} than before`;
}

/** Without a row in the time before, everything would be called new. */
export function isCompared({ linesBefore }: Patterns): boolean {
  return linesBefore > 0;
}

/** The sentence on top of the table. */
export function summaryOf(answer: Patterns): string {
  const { patterns, sampled, lines, found } = answer;
  const counts = ORDER.map((change) => [change, patterns.filter((each) => each.change === change).length] as const);
  const words: Record<Change, string> = {
    new: 'new',
    grew: 'grew',
    vanished: 'vanished',
    fell: 'fell',
    steady: 'steady',
  };
  const parts = counts
    .filter(([, count]) => count > 0 && isCompared(answer))
    .map(([change, count]) => `${formatCount(count)} ${words[change]}`);
  const some = found > patterns.length ? `${formatCount(patterns.length)} of ` : '';
  const kinds = `${some}${formatCount(found)} ${found === 1 ? 'kind' : 'kinds'} of message`;
  const of = sampled ? `the ${formatCount(lines)} rows that were looked at, not in all` : `${formatCount(lines)} rows`;
  return `${kinds} in ${of}${parts.length ? `: ${parts.join(', ')}` : ''}.`;
}
