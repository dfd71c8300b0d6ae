import type { BusinessService, Overview } from '../../api/tyto';
import { formatDuration, formatPercent } from '../../format/units';

export type State = 'failing' | 'slow' | 'degraded' | 'quiet' | 'healthy';

export interface Health {
  state: State;
  /** Over the last buckets of the range, weighted by their traffic: what is so at the range's end, not on its average. */
  errorRatio: number;
  failed: number;
  p95Ms: number;
  usualP95Ms: number;
}

/** Above the first ratio callers notice single failures; above the second one the service counts as failing. */
export const DEGRADED_RATIO = 0.01;
export const FAILING_RATIO = 0.03;
const SLOW_FACTOR = 2;
const SLOW_LEAST_MS = 50;
const LAST_BUCKETS = 3;
/** Of few requests one that fails is a large part: so many are looked at if there are, and a single failure judges nothing. */
const REQUESTS_LEAST = 100;
const FAILED_LEAST = 2;

export function healthOf(service: BusinessService): Health {
  const { p95Ms } = service.spark;
  const { requests, failed } = lastRequests(service.spark);
  const now = {
    errorRatio: requests ? failed / requests : 0,
    failed,
    p95Ms: median(p95Ms.slice(-LAST_BUCKETS)) || service.p95Ms,
    usualP95Ms: median(p95Ms) || service.p95Ms,
  };
  return { state: stateOf(service, now), ...now };
}

function lastRequests({ stepSeconds, rate, errorRatio }: BusinessService['spark']): {
  requests: number;
  failed: number;
} {
  let requests = 0;
  let failed = 0;
  for (let at = rate.length - 1; at >= 0 && (at >= rate.length - LAST_BUCKETS || requests < REQUESTS_LEAST); at--) {
    const count = finite(rate[at]) * stepSeconds;
    requests += count;
    failed += count * finite(errorRatio[at]);
  }
  return { requests, failed: Math.round(failed) };
}

function stateOf(service: BusinessService, now: Omit<Health, 'state'>): State {
  if (!(service.rate > 0)) return 'quiet';
  const fails = now.failed >= FAILED_LEAST;
  if (fails && now.errorRatio >= FAILING_RATIO) return 'failing';
  if (now.p95Ms > SLOW_LEAST_MS && now.p95Ms > SLOW_FACTOR * now.usualP95Ms) return 'slow';
  if (fails && now.errorRatio >= DEGRADED_RATIO) return 'degraded';
  return 'healthy';
}

const ORDER: State[] = ['failing', 'slow', 'degraded', 'quiet', 'healthy'];

/** Trouble first; within one state what is slowed down more or fails more, then the busier service. */
export function sortByTrouble(services: BusinessService[]): { service: BusinessService; health: Health }[] {
  return services
    .map((service) => ({ service, health: healthOf(service) }))
    .sort(
      (a, b) =>
        ORDER.indexOf(a.health.state) - ORDER.indexOf(b.health.state) ||
        worse(b.health) - worse(a.health) ||
        b.service.rate - a.service.rate,
    );
}

function worse({ state, errorRatio, p95Ms, usualP95Ms }: Health): number {
  if (state === 'slow') return p95Ms / usualP95Ms;
  return state === 'failing' || state === 'degraded' ? errorRatio : 0;
}

/** `video-playback` as a person writes it: "Video playback". */
export function title(name: string): string {
  const words = name.replace(/[-_.]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const NUMBERS = [
  'no',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
];

function spelled(count: number): string {
  return NUMBERS[count] ?? String(count);
}

/** What is going on, in a sentence for somebody who has never seen a dashboard. */
export function summarize(overview: Overview): { state: State; text: string } {
  const all = sortByTrouble(overview.businessServices);
  const troubled = all.filter(
    ({ health }) => health.state === 'failing' || health.state === 'slow' || health.state === 'degraded',
  );
  const first = troubled[0];
  if (!first) {
    const busy = all.filter(({ health }) => health.state === 'healthy').length;
    if (busy === 0) return { state: 'quiet', text: 'No business service had any traffic in this time.' };
    if (busy === 1) return { state: 'healthy', text: 'The one business service with traffic is healthy.' };
    if (busy < all.length)
      return { state: 'healthy', text: `All ${spelled(busy)} business services with traffic are healthy.` };
    return { state: 'healthy', text: `All ${spelled(busy)} business services are healthy.` };
  }
  const parts = troubled.slice(0, 2).map(({ service, health }) => clause(service, health));
  const rest = troubled.length - parts.length;
  const more = rest > 0 ? `, and ${spelled(rest)} more ${rest === 1 ? 'needs' : 'need'} a look` : '';
  const fine = all.filter(({ health }) => health.state === 'healthy').length;
  const others = fine > 0 ? ` ${capital(`the other ${fine === 1 ? 'one is' : `${spelled(fine)} are`} healthy.`)}` : '';
  return { state: first.health.state, text: `${parts.join('; ')}${more}.${others}` };
}

function clause(service: BusinessService, health: Health): string {
  const name = title(service.name);
  if (health.state === 'slow')
    return `${name} is slow: most requests took up to ${formatDuration(health.p95Ms)}, usually ${formatDuration(health.usualP95Ms)}`;
  return `${name} is failing ${formatPercent(Number(health.errorRatio.toPrecision(2)))} of requests`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function finite(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) ? value : 0;
}

function median(values: number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
