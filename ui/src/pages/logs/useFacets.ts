import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import {
  countValues,
  detectedFields,
  detectedLabels,
  detectedValues,
  type Detected,
  type Sample,
} from '../../api/detected';
import { toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { selectorText, valueQuery } from './edit';
import { choose, type FieldName } from './search';
import { LEVEL_LABEL, toLogql } from './words';

export interface Facet extends FieldName {
  cardinality: number;
  /** True where the cardinality is that of the newest rows only, so that there may be more. */
  sampled: boolean;
}

const IDENTITY = ['business_service', 'service', 'component', 'team', 'region', 'environment'];
/** Told by the level already, or as different in each row as the line is. */
const HIDDEN = new Set([
  LEVEL_LABEL,
  'level',
  'severity_text',
  'severity_number',
  'severity',
  'msg',
  'message',
  '__error__',
]);
/** With more values a label is not counted: each is a series of the counting query. A field has more than a sample shows. */
const COUNTED_VALUES_MAX = 200;
const COUNTED_SAMPLED_MAX = 50;
const SHOWN_VALUES = 50;

/** What rows can be narrowed by, the best known first. */
export function useFacets(logql: string, enabled: boolean) {
  const time = useTime();
  const range = { startNs: toNs(time.range.startMs), endNs: toNs(time.range.endMs) };
  // Labels are those of streams: what is asked of their rows does not count.
  const selector = selectorText(logql);
  const key = [logql, range.startNs, range.endNs, time.manual];
  const labels = useQuery({
    queryKey: ['log-detected-labels', selector, ...key.slice(1)],
    queryFn: ({ signal }) => detectedLabels(selector, range, signal),
    placeholderData: keepPreviousData,
    enabled,
  });
  const fields = useQuery({
    queryKey: ['log-detected-fields', ...key],
    queryFn: ({ signal }) => detectedFields(logql, range, signal),
    placeholderData: keepPreviousData,
    enabled,
  });
  const facets = useMemo(
    () => facetsOf(labels.data ?? [], fields.data?.fields ?? [], fields.data?.sample.sampled ?? true),
    [labels.data, fields.data],
  );
  return { facets, labels, fields };
}

export function facetsOf(labels: Detected[], fields: Detected[], sampled: boolean): Facet[] {
  const known = new Set(labels.map(({ name }) => name));
  const all: Facet[] = [
    ...labels.map(({ name, cardinality }) => ({ name, cardinality, origin: 'stream' as const, sampled: false })),
    ...fields
      .filter(({ name }) => !known.has(name))
      .map(({ name, cardinality, parsers }) => ({
        name,
        cardinality,
        sampled,
        origin: parsers.length ? ('parsed' as const) : ('metadata' as const),
        parser: parsers[0],
      })),
  ];
  // What everybody knows first; then what tells rows apart; last what is the same in all of them.
  const rank = ({ name, cardinality, origin }: Facet) => {
    const at = IDENTITY.indexOf(name);
    return at >= 0 ? at : (origin === 'stream' ? 100 : 200) + (cardinality > 1 ? 0 : 400);
  };
  return all.filter(({ name }) => !HIDDEN.has(name)).sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

export interface FacetValues {
  values: { value: string; count: number | undefined }[];
  /** Where the values are from: counted over the whole range, or seen in the newest rows. */
  sample: Sample | undefined;
  /** True when there are more values than are shown. */
  cut: boolean;
}

/** The values of one field among the rows that the search would find without its own conditions on that field. */
export function useFacetValues(facet: Facet, search: string, enabled: boolean) {
  const time = useTime();
  const others = toLogql(choose(search, facet, { ins: [], outs: [] }));
  const range = { startNs: toNs(time.range.startMs), endNs: toNs(time.range.endMs) };
  const counted =
    facet.origin !== 'parsed' && facet.cardinality <= (facet.sampled ? COUNTED_SAMPLED_MAX : COUNTED_VALUES_MAX);
  return useQuery({
    queryKey: ['log-facet', facet.name, counted, others, range.startNs, range.endNs, time.manual],
    enabled,
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<FacetValues> => {
      if (!counted) {
        const { values, sample } = await detectedValues(facet.name, others, range, SHOWN_VALUES + 1, signal);
        return {
          values: values.slice(0, SHOWN_VALUES).map((value) => ({ value, count: undefined })),
          sample,
          cut: values.length > SHOWN_VALUES,
        };
      }
      const seconds = Math.max(1, Math.ceil((time.range.endMs - time.range.startMs) / 1000));
      const query = valueQuery(others, facet.name, seconds, SHOWN_VALUES + 1);
      const values = await countValues(query, facet.name, range.endNs, signal);
      const named = values.filter(({ value }) => value !== '' || facet.name === LEVEL_LABEL);
      return { values: named.slice(0, SHOWN_VALUES), sample: undefined, cut: named.length > SHOWN_VALUES };
    },
  });
}
