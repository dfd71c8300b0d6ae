import type { Settled, Waiting, WaitingGroup } from '../../api/quarantine';
import { formatCount } from '../../format/units';

const records = (count: number) => `${formatCount(count)} ${count === 1 ? 'record' : 'records'}`;

/** Whose records they are, and what of that nobody has declared. */
export function ownerOf({
  businessService,
  service,
  component,
}: Pick<WaitingGroup, 'businessService' | 'service' | 'component'>): { name: string; below: string } {
  return { name: businessService || 'unassigned', below: [service, component].filter(Boolean).join(' / ') };
}

/** What waits of one team, as far as the server tells its groups. */
export function ofTeam(waiting: Waiting, team: string): Waiting {
  const groups = waiting.groups.filter((group) => group.team === team);
  return { ...waiting, groups, records: groups.reduce((sum, group) => sum + group.records, 0) };
}

/** The sentence on top of the page; with a team of what waits of it alone. */
export function verdict(
  { records: count, groups, groupsLeftOut }: Waiting,
  team?: string,
): { calm: boolean; title: string; text: string } {
  if (count === 0 && team)
    return {
      calm: groupsLeftOut === 0,
      title: `Nothing of team ${team} waits`,
      text:
        groupsLeftOut === 0
          ? 'All that it sends keeps its contract, or was settled.'
          : `That is so of the largest groups; ${formatCount(groupsLeftOut)} smaller ones are not told.`,
    };
  if (count === 0)
    return {
      calm: true,
      title: 'Nothing waits',
      text: 'Every log record kept its contract, or its contract says only to watch. What breaks one and is set aside shows here.',
    };
  const owners = new Set(groups.map((group) => `${ownerOf(group).name} ${ownerOf(group).below}`)).size;
  return {
    calm: false,
    title: `${records(count)}${team ? ` of team ${team}` : ''} ${count === 1 ? 'waits' : 'wait'}`,
    text: `They broke the contract of ${owners === 1 ? 'their component' : `${owners} components`}. Nothing is lost: once the sender or the contract is right, let them in; they keep their time.`,
  };
}

/** What is wrong, for somebody who has not read the contract. */
export function wrong({
  path,
  rule,
  expected,
  found,
}: Pick<WaitingGroup, 'path' | 'rule' | 'expected' | 'found'>): string {
  if (rule === 'required') return `${path} is missing`;
  return `${path} should be ${expected}, and is ${found}`;
}

/** `contracts/payments.json:9` of a whole path: the folder before it is the server's. */
export function placeOf(at: string): string {
  return at.split('/').slice(-2).join('/');
}

/** What became of an order, in a sentence. */
export function became({ selected, released, discarded, kept }: Settled): string {
  if (selected === 0) return 'Nothing of this waits any more.';
  const parts = [
    released > 0 && `${records(released)} let in`,
    discarded > 0 && `${records(discarded)} thrown away`,
    kept > 0 && `${records(kept)} ${kept === 1 ? 'breaks' : 'break'} the contract still`,
  ];
  return `${parts.filter(Boolean).join(', ')}.`;
}
