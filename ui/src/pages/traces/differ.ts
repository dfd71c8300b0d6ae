import type { AttributeType, Span } from '../../api/otlp';
import type { Condition } from './traceql';

/** What a trace has: each name and value that any of its spans carries, once, with how TraceQL would ask for it. */
export type Traits = Map<string, Trait>;

export interface Trait {
  name: string;
  value: string;
  condition: Condition;
}

/** A name with a value that one of two sets of traces has more often than the other. */
export interface Difference extends Trait {
  /** In how many traces of each set it occurs. */
  bad: number;
  good: number;
  /** How many times as often the bad ones have it, with half a trace added to both so that none divides by nothing. */
  lift: number;
  /** It is a part of the failure itself rather than a hint at its cause. */
  symptom: boolean;
  /** Others that occur in exactly the same traces. */
  also: Trait[];
}

export interface Differences {
  /** More often in the bad ones, the strongest first. */
  more: Difference[];
  /** Seldom in the bad ones though usual in the good ones. */
  less: Difference[];
}

/** Longer values are texts and no kinds of things. */
const VALUE_CHARS_MAX = 160;
const BAD_MIN = 2;
const LIFT_MIN = 1.5;
const SHOWN_MAX = 40;
const BETWEEN = '\u0000';

export const SERVICE = 'service';
export const OPERATION = 'operation';

/** Names that are different in every trace, or say how it was sent and not what happened. */
const LEFT_OUT = /^(service\.name|service\.instance\.id|telemetry\.|trace|span\.?id|thread\.)/;
/** Says something only together with the service: version 4.7.0 of which? */
const OF_ONE = /^(service\.version|k8s\.pod|host\.|container\.|process\.)/;
const SYMPTOM = /^(error|exception|otel\.status|status)\b|(^|[._])status_code$/;

export function traitsOf(spans: Span[]): Traits {
  const traits: Traits = new Map();
  const add = (
    name: string,
    value: string,
    asked: string,
    kind: Condition['value']['kind'] = 'string',
    text = value,
  ) => {
    if (value === '' || value.length > VALUE_CHARS_MAX || LEFT_OUT.test(name)) return;
    traits.set(`${name}${BETWEEN}${value}`, {
      name,
      value,
      condition: { name: asked, op: '=', value: { kind, text } },
    });
  };
  const resources = new Set<Span['resource']>();
  for (const span of spans) {
    add(SERVICE, span.service, 'resource.service.name');
    add(OPERATION, `${span.service}: ${span.name}`, 'name', 'string', span.name);
    add('status message', span.statusMessage, 'statusMessage');
    for (const [name, value, type] of span.attributes) add(name, value, `span.${name}`, kindOf(type));
    for (const event of span.events) {
      if (event.name !== 'exception') continue;
      for (const [name, value, type] of event.attributes)
        if (name !== 'exception.stacktrace') add(name, value, `event.${name}`, kindOf(type));
    }
    if (resources.has(span.resource)) continue;
    resources.add(span.resource);
    for (const [name, value, type] of span.resource)
      add(OF_ONE.test(name) ? `${name} of ${span.service}` : name, value, `resource.${name}`, kindOf(type));
  }
  return traits;
}

function kindOf(type: AttributeType): Condition['value']['kind'] {
  if (type === 'int' || type === 'double') return 'number';
  return type === 'bool' ? 'word' : 'string';
}

/** Which values tell the bad traces from the good ones. Values that always come together are one difference. */
export function differencesOf(bad: Traits[], good: Traits[]): Differences {
  const where = new Map<string, { trait: Trait; traces: number[] }>();
  [...bad, ...good].forEach((traits, index) => {
    for (const [key, trait] of traits) {
      const known = where.get(key);
      if (known) known.traces.push(index);
      else where.set(key, { trait, traces: [index] });
    }
  });
  const groups = new Map<string, Difference>();
  for (const { trait, traces } of where.values()) {
    const firstGood = traces.findIndex((index) => index >= bad.length);
    const badCount = firstGood < 0 ? traces.length : firstGood;
    const symptom = SYMPTOM.test(trait.name);
    const key = `${symptom} ${traces.join(' ')}`;
    const known = groups.get(key);
    if (known && weight(known.name) >= weight(trait.name)) known.also.push(trait);
    else
      groups.set(key, {
        ...trait,
        ...{ bad: badCount, good: traces.length - badCount, symptom },
        lift: liftOf(badCount, bad.length, traces.length - badCount, good.length),
        also: known ? [known, ...known.also] : [],
      });
  }
  return ranked([...groups.values()], bad.length, good.length);
}

function ranked(all: Difference[], bad: number, good: number): Differences {
  return {
    more: all
      .filter((each) => each.bad >= Math.min(BAD_MIN, bad) && each.lift >= LIFT_MIN)
      .sort((a, b) => b.lift - a.lift || b.bad - a.bad || a.name.localeCompare(b.name))
      .slice(0, SHOWN_MAX),
    less: all
      .filter((each) => each.good >= good / 2 && each.good >= BAD_MIN && each.lift <= 1 / LIFT_MIN)
      .sort((a, b) => a.lift - b.lift || b.good - a.good || a.name.localeCompare(b.name))
      .slice(0, SHOWN_MAX / 2),
  };
}

export function liftOf(bad: number, badAll: number, good: number, goodAll: number): number {
  return (bad + 0.5) / (badAll + 1) / ((good + 0.5) / (goodAll + 1));
}

/** Which of several names for the same traces a person wants to read first. */
function weight(name: string): number {
  if (name === OPERATION) return 3;
  if (name === SERVICE) return 2;
  return /^(http\.route|db\.|rpc\.|messaging\.|aws\.|omd\.|cloud\.region|service\.version|exception\.message)/.test(
    name,
  )
    ? 1
    : 0;
}

/** The difference as a sentence. */
export function differenceWords(
  { bad, good, lift }: Difference,
  badAll: number,
  goodAll: number,
  badName: string,
): string {
  const first = bad === badAll ? `All ${badAll} ${badName}` : `${bad} of ${badAll} ${badName}`;
  const rest = good === 0 ? `none of the other ${goodAll}` : `${good} of the other ${goodAll}`;
  if (lift < 1)
    return `${bad === 0 ? 'None' : `Only ${bad}`} of the ${badAll} ${badName}, but ${good === goodAll ? `all ${goodAll}` : rest.replace('none', '0')} have it.`;
  if (good === 0) return `${first} have it, ${rest}.`;
  const times = bad / badAll / (good / goodAll);
  return `${first} have it, but only ${rest}: ${times >= 10 ? Math.round(times) : Number(times.toPrecision(2))} times as often.`;
}

/** The duration from which on a tenth of the traces count as slow. */
export function slowFrom(durations: number[]): number {
  const sorted = [...durations].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.9))] ?? Infinity;
}
