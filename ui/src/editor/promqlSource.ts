import type { PrometheusClient } from '@prometheus-io/codemirror-promql';
import { EqlRegex, EqlSingle, Neq, NeqRegex } from '@prometheus-io/lezer-promql';
import { asArray, asLabels, asRecord, asText, getJson, type Params } from '../api/client';
import { metadata } from '../api/prometheus';

/** The time range that is being looked at, Unix seconds: completion offers what was there then. */
export type RangeSource = () => { start: number; end: number };

type Matcher = NonNullable<Parameters<PrometheusClient['labelValues']>[2]>[number];

const REMEMBERED_MS = 60_000;
const REMEMBERED_MAX = 200;
/** A list of completions longer than this is searched by typing more, not by scrolling. */
const OFFERED_MAX = 5_000;

/**
 * Names and values for completion, each in the context of its selector: the package's own cache forgets the matchers and
 * offers values that would find nothing. A failure offers nothing; the query itself will tell what is wrong.
 */
export function promqlSource(range: RangeSource): PrometheusClient {
  const remembered = new Map<string, { at: number; answer: Promise<unknown> }>();
  const ask = (path: string, params: Params): Promise<unknown> => {
    const { start, end } = range();
    // Moments of one minute ask the same: a refresh must not empty the memory.
    const key = JSON.stringify([path, params, Math.floor(start / 60), Math.floor(end / 60)]);
    const known = remembered.get(key);
    if (known && Date.now() - known.at < REMEMBERED_MS) return known.answer;
    const answer = getJson(path, { ...params, start, end }).then((json) => asRecord(json).data);
    remembered.delete(key);
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value ?? '');
    remembered.set(key, { at: Date.now(), answer });
    answer.catch(() => remembered.delete(key));
    return answer;
  };
  const texts = (path: string, params: Params) =>
    ask(path, params).then(
      (data) => asArray(data, path, 'data').map(asText).slice(0, OFFERED_MAX),
      () => [],
    );
  const values = (label: string, metric?: string, matchers?: Matcher[]) =>
    texts(`/api/v1/label/${encodeURIComponent(pathName(label))}/values`, {
      'match[]': selectorText(metric, matchers, label),
      limit: OFFERED_MAX,
    });
  let about: Promise<Record<string, { type: string; help: string }[]>> | undefined;
  return {
    labelNames: (metric) => texts('/api/v1/labels', { 'match[]': selectorText(metric) }),
    labelValues: values,
    metricNames: () => values('__name__'),
    metricMetadata: () => (about ??= describe().catch(() => ((about = undefined), {}))),
    series: (metric, matchers, label) =>
      ask('/api/v1/series', { 'match[]': selectorText(metric, matchers, label), limit: OFFERED_MAX }).then(
        (data) => asArray(data, '/api/v1/series', 'data').map((each) => new Map(Object.entries(asLabels(each)))),
        () => [],
      ),
    flags: () => Promise.resolve({}),
  };
}

async function describe(): Promise<Record<string, { type: string; help: string }[]>> {
  const found = await metadata(new AbortController().signal);
  return Object.fromEntries(
    [...found].map(([name, { type, help, unit }]) => [
      name,
      [{ type, help: unit && /^\w+$/.test(unit) && unit !== '1' ? `${help} Unit: ${unit}.` : help }],
    ]),
  );
}

const OPERATORS: Record<number, string> = { [EqlSingle]: '=', [Neq]: '!=', [EqlRegex]: '=~', [NeqRegex]: '!~' };

/** The selector around the cursor (its values as they are typed, escapes and all) without the label that is being completed, and without matchers that are not written yet. */
export function selectorText(metric = '', matchers: Matcher[] = [], label = ''): string | undefined {
  const written = matchers
    .filter(({ name, value }) => name !== label && name !== '' && value !== '')
    .map(({ type, name, value }) => `${labelText(name)}${OPERATORS[type] ?? '='}"${value}"`);
  const all = metric ? [`__name__=${JSON.stringify(metric)}`, ...written] : written;
  return all.length ? `{${all.join(',')}}` : undefined;
}

function labelText(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
}

/** A label's name as Prometheus's API takes it in an address: what is not a plain word is written in its escaped form. */
export function pathName(label: string): string {
  if (/^[A-Za-z_]\w*$/.test(label)) return label;
  const escaped = [...label].map((letter) =>
    letter === '_' ? '__' : /[A-Za-z0-9]/.test(letter) ? letter : `_${(letter.codePointAt(0) ?? 0).toString(16)}_`,
  );
  return `U__${escaped.join('')}`;
}
