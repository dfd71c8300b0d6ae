import type { LabelCardinality } from '../../api/cardinality';
import { formatCount } from '../../format/units';

export const OVERFLOW = '__cardinality_overflow__';

export type State = 'overflows' | 'close' | 'calm';

/** Close: at half of what is let in, there is still time to look. */
export function stateOf({ overflows, values, valuesMax }: LabelCardinality): State {
  if (overflows) return 'overflows';
  return values >= valuesMax / 2 ? 'close' : 'calm';
}

/** Who sends it, as far as it is known: the catalogue's name, else the job. */
export function ownerOf({ businessService, service, component, job }: LabelCardinality): {
  name: string;
  below: string;
} {
  if (businessService && businessService !== 'unassigned')
    return { name: businessService, below: [service, component].filter(Boolean).join(' / ') };
  return { name: job || 'nobody in the catalogue', below: job ? 'job, not in the catalogue' : '' };
}

/** The matchers that find the owner's series. */
function ownerMatchers({ businessService, component, job }: LabelCardinality): string[] {
  if (businessService && businessService !== 'unassigned')
    return [
      `business_service=${JSON.stringify(businessService)}`,
      ...(component ? [`component=${JSON.stringify(component)}`] : []),
    ];
  return job ? [`job=${JSON.stringify(job)}`] : [];
}

/** Which metrics of the owner have the label, and how many series each. */
export function queryOfLabel(label: LabelCardinality): string {
  return `sort_desc(count by (__name__) ({${[...ownerMatchers(label), `${labelText(label.label)}!=""`].join(', ')}}))`;
}

/** The metrics in which values were replaced. */
export function queryOfOverflow(label: LabelCardinality): string {
  const matchers = [...ownerMatchers(label), `${labelText(label.label)}="${OVERFLOW}"`];
  return `count by (__name__) ({${matchers.join(', ')}})`;
}

export function labelText(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
}

/** What happened to a label that overflows. */
export function happened(label: LabelCardinality): string {
  const series =
    label.replacedSeries > 0
      ? `${formatCount(label.replacedSeries)} series so far`
      : 'from now on every further series';
  return (
    `The label ${label.label} of ${ownerOf(label).name} brought more than ${formatCount(label.valuesMax)} new values within an hour. ` +
    `In ${series}, its value is stored as ${OVERFLOW}: nothing is lost but that label, and sums over it are too small. ` +
    'All other labels and teams are as they were.'
  );
}

export const REMEDY =
  'Take the label off at the sender: ids of users, requests or traces belong into logs and spans. When it has calmed down, its ' +
  'values are whole again from the next hour on, by themselves. If the label has to be so wide, raise --label-values-max.';

/** The page in one sentence. */
export function verdict(labels: LabelCardinality[]): { state: State; title: string; text: string } {
  const over = labels.filter((each) => stateOf(each) === 'overflows').length;
  const close = labels.filter((each) => stateOf(each) === 'close').length;
  if (over > 0)
    return {
      state: 'overflows',
      title: over === 1 ? 'One label brings too many values' : `${over} labels bring too many values`,
      text: 'Their further values are being replaced. Memory and every other team are protected; what to do stands below.',
    };
  if (close > 0)
    return {
      state: 'close',
      title: close === 1 ? 'One label comes close to its limit' : `${close} labels come close to their limit`,
      text: 'Nothing is replaced yet. More than half of what is let in per hour is used up.',
    };
  return {
    state: 'calm',
    title: 'No label brings too many values',
    text: 'Every different value of a label is a series of its own, which takes memory and slows queries. This is who brings how many.',
  };
}

/** `label=value` of Prometheus's status as a matcher; undefined when it cannot be told apart. */
export function pairMatcher(pair: string): string | undefined {
  const at = pair.indexOf('=');
  if (at < 1) return undefined;
  return `${labelText(pair.slice(0, at))}=${JSON.stringify(pair.slice(at + 1))}`;
}
