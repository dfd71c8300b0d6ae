import type { Overview } from '../../api/tyto';
import type { Address } from '../../app/address';
import { formatCount } from '../../format/units';
import { ofBusinessService, UNASSIGNED } from '../logs/selector';
import { ofBusiness } from '../traces/traceql';

export interface UnclaimedPart {
  /** `1 715 log records` */
  count: string;
  noun: string;
  to: '/logs' | '/traces' | '/charts';
  words: Address;
}

/** What arrived without an owner, each with the page that shows it. */
export function unclaimedParts({ logs, spans, series }: Overview['unassigned']): UnclaimedPart[] {
  const parts: [number, string, string, UnclaimedPart['to'], Address][] = [
    [logs, 'log record', 'log records', '/logs', { q: ofBusinessService(UNASSIGNED) }],
    [spans, 'span', 'spans', '/traces', { q: ofBusiness(UNASSIGNED) }],
    [series, 'series', 'series', '/charts', {}],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, one, many, to, words]) => ({
      count: formatCount(count),
      noun: count === 1 ? one : many,
      to,
      words,
    }));
}
