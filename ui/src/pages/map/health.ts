import type { EntityKind } from '../../api/topology';
import { formatDuration, formatNumber, formatPercent } from '../../format/units';
import { DEGRADED_RATIO, FAILING_RATIO } from '../home/health';
import type { Graph, Link } from './fold';

/** `rest`: seen before, and nothing in this time. `unseen`: only declared. */
export type State = 'failing' | 'degraded' | 'healthy' | 'rest' | 'unseen';

export const WORDS: Record<State, string> = {
  failing: 'Failing',
  degraded: 'Some errors',
  healthy: 'Healthy',
  rest: 'At rest',
  unseen: 'Never seen',
};

export const KIND_WORDS: Record<EntityKind, string> = {
  business_service: 'business service',
  service: 'service',
  component: 'component',
  database: 'database',
  queue: 'queue',
  external: 'external',
  user: 'from outside',
};

const FAILED_LEAST = 2;
/** Where so large a part fails, even a single failure counts. */
const MOST_FAIL = 0.5;

interface Served {
  rate: number;
  errorRate: number;
  lastSeen: number | undefined;
}

/** How what was asked of it ended, judged by the part that failed; of few requests a single failure makes nothing red. */
export function stateOf({ rate, errorRate, lastSeen }: Served, seconds: number): State {
  if (!(rate > 0)) return lastSeen === undefined ? 'unseen' : 'rest';
  const failed = Math.round(errorRate * seconds);
  const ratio = errorRate / rate;
  if (failed === 0) return 'healthy';
  if (ratio >= FAILING_RATIO && (failed >= FAILED_LEAST || ratio >= MOST_FAIL)) return 'failing';
  return ratio >= DEGRADED_RATIO ? 'degraded' : 'healthy';
}

export function errorRatio({ rate, errorRate }: { rate: number; errorRate: number }): number {
  return rate > 0 ? errorRate / rate : 0;
}

/** Trouble first, then the busier one. */
export function byTrouble(links: Link[], seconds: number): Link[] {
  const rank = (link: Link) => {
    const state = stateOf(link, seconds);
    return state === 'failing' ? 0 : state === 'degraded' ? 1 : link.drift ? 2 : 3;
  };
  return [...links].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      (rank(a) < 2 ? errorRatio(b) - errorRatio(a) : 0) ||
      b.rate - a.rate ||
      (a.id < b.id ? -1 : 1),
  );
}

/** A share as people say it: at most two digits. */
export function percentWords(ratio: number): string {
  return formatPercent(Number(ratio.toPrecision(2)));
}

export function rateWords(perSecond: number): string {
  if (!(perSecond > 0)) return 'none';
  if (perSecond >= 0.1) return `${formatNumber(perSecond)}/s`;
  const perMinute = perSecond * 60;
  return perMinute >= 0.1 ? `${formatNumber(perMinute)}/min` : `${formatNumber(perSecond * 3600)}/h`;
}

export function secondsWords(seconds: number | undefined): string {
  return seconds === undefined ? '–' : formatDuration(seconds * 1000);
}

export interface Sentence {
  state: 'failing' | 'degraded' | 'healthy' | 'rest';
  text: string;
  /** What it is about, so that a click leads there. */
  link: Link | undefined;
}

/** What is wrong, in a sentence. Where a failure climbs up a chain of callers, its end is named: that is where it began. */
export function sentenceOf(graph: Graph, seconds: number): Sentence {
  const troubled = byTrouble(graph.links, seconds).filter((link) => /failing|degraded/.test(stateOf(link, seconds)));
  const failing = troubled.filter((link) => stateOf(link, seconds) === 'failing');
  const candidates = failing.length ? failing : troubled;
  const ill = new Set(candidates.map(({ from }) => from));
  const [first, second] = [...candidates].sort((a, b) => Number(ill.has(a.to)) - Number(ill.has(b.to)));
  const name = (id: string) => graph.nodes.get(id)?.entity.name ?? id;
  const clause = (link: Link) => {
    const share = `${percentWords(errorRatio(link))} fail`;
    const [from, to] = [graph.nodes.get(link.from), graph.nodes.get(link.to)];
    if (from?.entity.kind === 'user') return `users ask ${name(link.to)}: ${share}`;
    if (to?.entity.kind === 'queue') return `${name(link.from)} sends to ${name(link.to)}: ${share}`;
    if (from?.entity.kind === 'queue') return `${name(link.to)} takes from ${name(link.from)}: ${share}`;
    return `${name(link.from)} calls ${name(link.to)}: ${share}`;
  };
  if (first) {
    const rest = troubled.length - (second ? 2 : 1);
    const more = rest > 0 ? `, and ${rest} more ${rest === 1 ? 'connection has' : 'connections have'} errors` : '';
    const text = `${clause(first)}${second ? `; ${clause(second)}` : ''}${more}.`;
    return { state: failing.length ? 'failing' : 'degraded', text: capital(text), link: first };
  }
  const busy = graph.links.filter(({ rate }) => rate > 0).length;
  if (busy === 0) return { state: 'rest', text: 'Nobody called anybody in this time.', link: undefined };
  const all = busy === 1 ? 'The one connection with traffic is' : `All ${busy} connections with traffic are`;
  return { state: 'healthy', text: `${all} healthy.`, link: undefined };
}

/** Names of services are written as they are; only our own words begin with a capital. */
function capital(text: string): string {
  return text.startsWith('users ') ? `Users ${text.slice(6)}` : text;
}
