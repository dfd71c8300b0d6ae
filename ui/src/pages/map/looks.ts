import { formatDuration } from '../../format/units';
import type { Graph, Link } from './fold';
import { rateWords } from './health';

/** What the colours and widths of the map tell. */
export type Look = 'errors' | 'latency' | 'traffic';

export const LOOKS: { value: Look; label: string }[] = [
  { value: 'errors', label: 'Errors' },
  { value: 'latency', label: 'Latency' },
  { value: 'traffic', label: 'Traffic' },
];

/** Where one colour of durations ends and the next begins: what nobody feels, what adds up, what people wait for. */
const STEPS_S = [0.01, 0.05, 0.25, 1];
const STEP_WORDS = ['under 10 ms', '10 to 50 ms', '50 to 250 ms', '250 ms to 1 s', 'over 1 s'];
const WIDTH_LEAST = 1.2;
/** Of more lines than these only the uppermost have words: others would hide the picture. */
const LABELS_MAX = 14;
/** A call whose callee itself waits for another this large a part of it is slow because of that other one. */
const PASSED_ON = 0.5;

export function slowStep(seconds: number): number {
  return STEPS_S.filter((end) => seconds >= end).length;
}

/** The colour of a duration, and undefined where the map tells something else or nothing is known. */
export function tintOf(look: Look, { rate, p95Seconds }: { rate: number; p95Seconds: number | undefined }) {
  if (look === 'errors' || !(rate > 0)) return undefined;
  if (look === 'traffic') return 'var(--info)';
  return p95Seconds === undefined ? 'var(--line-strong)' : `var(--slow-${slowStep(p95Seconds)})`;
}

export function widthOf(look: Look, { rate, p95Seconds }: Link, widest: number): number {
  if (look === 'latency') return WIDTH_LEAST + (rate > 0 && p95Seconds !== undefined ? slowStep(p95Seconds) : 0);
  if (!(widest > 0 && rate > 0)) return WIDTH_LEAST;
  return WIDTH_LEAST + Math.sqrt(rate / widest) * (look === 'traffic' ? 8 : 4);
}

/** The lines that have words on them: all of few, else the slowest or the busiest. */
export function labelled(look: Look, links: Link[]): ReadonlyMap<string, string> {
  if (look === 'errors') return new Map();
  const value = ({ rate, p95Seconds }: Link) => (look === 'latency' ? (p95Seconds ?? 0) : rate);
  const words = (link: Link) => (look === 'latency' ? formatDuration(value(link) * 1000) : rateWords(link.rate));
  const shown = links.filter((link) => link.rate > 0 && value(link) > 0).sort((a, b) => value(b) - value(a));
  return new Map(shown.slice(0, LABELS_MAX).map((link) => [link.id, words(link)]));
}

/** What the colours and widths mean, as names for the style sheet and words. */
export function keyOf(look: Look): [name: string, words: string][] {
  if (look === 'latency') return STEP_WORDS.map((words, step) => [`slow-${step}`, words]);
  if (look === 'traffic') return [['busy', 'wider: more calls']];
  return [
    ['failing', 'failing'],
    ['degraded', 'some errors'],
    ['healthy', 'healthy'],
    ['undeclared', 'not declared'],
    ['unseen', 'declared, never seen'],
    ['wide', 'wider: more calls'],
  ];
}

/** The slowest call, followed to where its time goes: who waits for somebody slow is slow too. */
export function slowest(graph: Graph): Link | undefined {
  const known = graph.links.filter(({ rate, p95Seconds, from }) => {
    return rate > 0 && p95Seconds !== undefined && graph.nodes.get(from)?.entity.kind !== 'queue';
  });
  const p95 = (link: Link) => link.p95Seconds ?? 0;
  const top = (links: Link[]) => links.reduce<Link | undefined>((a, b) => (a && p95(a) >= p95(b) ? a : b), undefined);
  let here = top(known);
  const passed = new Set<string>();
  while (here && !passed.has(here.id)) {
    passed.add(here.id);
    const { to } = here;
    const least = p95(here) * PASSED_ON;
    const next = top(known.filter((link) => link.from === to && p95(link) >= least));
    if (!next || passed.has(next.id)) break;
    here = next;
  }
  return here;
}

export function slowestWords(graph: Graph): { text: string; link: Link | undefined } {
  const link = slowest(graph);
  if (!link) return { text: 'Nobody called anybody in this time.', link };
  const name = (id: string) => graph.nodes.get(id)?.entity.name ?? id;
  const user = graph.nodes.get(link.from)?.entity.kind === 'user';
  const took = formatDuration((link.p95Seconds ?? 0) * 1000);
  const who = user ? `users ask ${name(link.to)}` : `${name(link.from)} calls ${name(link.to)}`;
  return { text: `Slowest: ${who}; 95 of 100 calls take up to ${took}.`, link };
}
