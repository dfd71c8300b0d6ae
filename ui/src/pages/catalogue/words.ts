import type { Dependency, Entry, EntryKind, Gaps, Sender } from '../../api/catalogue';
import { formatCount } from '../../format/units';

export const KINDS: Record<EntryKind, { one: string; many: string }> = {
  business_service: { one: 'business service', many: 'business services' },
  service: { one: 'service', many: 'services' },
  component: { one: 'component', many: 'components' },
  team: { one: 'team', many: 'teams' },
};

/** What is missing, in a word for a narrow column. */
const SHORT: Record<string, string> = {
  description: 'purpose',
  owner: 'owner',
  contact: 'contact',
  on_call: 'on call',
  tier: 'tier',
  cost_centre: 'cost centre',
  contract: 'contract',
  runbook: 'runbook',
  match: 'claim',
  depends_on: 'dependencies',
  parts: 'parts',
};

export const short = (gap: string) => SHORT[gap] ?? gap;

export function counted(count: number, kind: EntryKind): string {
  return `${formatCount(count)} ${count === 1 ? KINDS[kind].one : KINDS[kind].many}`;
}

/** What it says of what is expected: `6 of 9`. */
export function said({ expected, missing }: Entry): string {
  return missing.length ? `${expected - missing.length} of ${expected}` : 'complete';
}

/** The two sentences on top of the page. */
export function verdict(entries: Entry[]): { title: string; text: string } {
  const of = (kind: EntryKind) => entries.filter((entry) => entry.kind === kind);
  if (entries.length === 0)
    return {
      title: 'Nothing is declared yet',
      text: 'Teams say in omd.yaml what they own and how it is recognised: start Tyto with --catalog.',
    };
  const components = of('component');
  const lacking = components.filter(({ missing }) => missing.length > 0);
  const most = mostMissing(components).slice(0, 3);
  const title = `${counted(components.length, 'component')} of ${counted(of('business_service').length, 'business_service')}, owned by ${counted(of('team').length, 'team')}`;
  if (lacking.length === 0) return { title, text: 'Every component says all that is expected of it.' };
  const words = most.map(([gap, count]) => `${short(gap)} (${formatCount(count)})`).join(', ');
  const who =
    lacking.length === components.length
      ? 'None of the components says all that is expected'
      : `${formatCount(lacking.length)} of the components do not say all that is expected`;
  return { title, text: `${who}. Most often missing: ${words}.` };
}

/** What is missing most often, with how often. */
export function mostMissing(entries: Entry[]): [gap: string, count: number][] {
  const counts = new Map<string, number>();
  for (const gap of entries.flatMap(({ missing }) => missing)) counts.set(gap, (counts.get(gap) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** What a rule asks of an attribute. */
export function ruleWords(attribute: string, { text, regex }: { text: string; regex: boolean }): [string, string] {
  if (regex) return [`${attribute} fits the expression`, text];
  return [/[*?]/.test(text) ? `${attribute} is like` : `${attribute} is`, text];
}

export function gapWords(gap: string, gaps: Gaps): { what: string; fix: string } {
  return gaps[gap] ?? { what: `${short(gap)} is missing`, fix: '' };
}

const DEPENDENCY: Record<string, string> = { database: 'database', queue: 'queue', external: 'outside the company' };

export function dependencyWords({ kind, name }: Dependency): string {
  const more = DEPENDENCY[kind];
  return more ? `${name} (${more})` : name;
}

/** `1 284 log records and 12 series` */
export function sentWords({ logs, spans, series }: Sender): string {
  const parts: [number, string, string][] = [
    [logs, 'log record', 'log records'],
    [spans, 'span', 'spans'],
    [series, 'series', 'series'],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, one, many]) => `${formatCount(count)} ${count === 1 ? one : many}`)
    .join(', ')
    .replace(/, ([^,]*)$/, ' and $1');
}

/** The lines that claim a sender as a component of its own, for a file that there is. */
export function snippet({ value, rule }: Sender): string {
  const name = value.replace(/^.*\//, '').replace(/[^\w.-]+/g, '-');
  return `      components:\n        - name: ${name || 'its-name'}\n          match:\n            ${rule}`;
}

const CONTACTS: Record<string, string> = {
  email: 'Mail',
  slack: 'Chat',
  github: 'Issues',
  webhook: 'Webhook',
  on_call: 'On call',
};

export const contactWords = (kind: string) => CONTACTS[kind] ?? kind;

/** Where a contact leads; undefined for what is only text. */
export function contactLink(kind: string, value: string): string | undefined {
  if (kind === 'email') return `mailto:${value}`;
  if (kind === 'github') return `https://github.com/${value}`;
  return /^https?:\/\//.test(value) ? value : undefined;
}
