import type { Metric, Series } from '../../api/prometheus';

/** A name for each series as short as tells them apart: what all share is left out, a single label is only its value. */
export function seriesNames(series: Series[], query: string): string[] {
  const labels = new Set(series.flatMap((each) => Object.keys(each.labels)));
  const differing = [...labels].filter((name) => new Set(series.map((each) => each.labels[name] ?? '')).size > 1);
  if (series.length === 1) {
    const only = series[0]?.labels ?? {};
    const names = Object.keys(only).filter((name) => name !== '__name__');
    if (names.length === 0) return [only.__name__ ?? query];
    return [names.length === 1 ? (only[names[0] ?? ''] ?? '') || '(none)' : printLabels(only)];
  }
  if (differing.length === 1) return series.map((each) => each.labels[differing[0] ?? ''] || '(none)');
  return unique(
    series.map((each) => printLabels(Object.fromEntries(differing.map((name) => [name, each.labels[name] ?? ''])))),
  );
}

export function printLabels({ __name__ = '', ...labels }: Record<string, string>): string {
  const inner = Object.entries(labels)
    .filter(([, value]) => value !== '')
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return inner.length || !__name__ ? `${__name__}{${inner.join(', ')}}` : __name__;
}

function unique(names: string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count > 1 ? `${name} (${count})` : name;
  });
}

export interface Listed extends Metric {
  /** The names that the metric is stored under: one, or a classic histogram's three. */
  members: string[];
}

/** The metrics as people know them: `_bucket`, `_count` and `_sum` of a histogram are one entry. */
export function listMetrics(names: string[], metadata: ReadonlyMap<string, Metric>): Listed[] {
  const all = new Set(names);
  const listed = new Map<string, Listed>();
  for (const name of names) {
    const base = name.replace(/_(bucket|count|sum)$/, '');
    const histogram = base !== name && all.has(`${base}_bucket`);
    const key = histogram ? base : name;
    const known = listed.get(key);
    if (known) known.members.push(name);
    else {
      const about = metadata.get(key) ?? metadata.get(name.replace(/_total$/, ''));
      const type = about?.type && about.type !== 'unknown' ? about.type : guessType(key, histogram);
      listed.set(key, { name: key, type, help: about?.help ?? '', members: [name] });
    }
  }
  return [...listed.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function guessType(name: string, histogram: boolean): string {
  if (histogram) return 'histogram';
  return /_total$|_count$|_sum$/.test(name) ? 'counter' : 'gauge';
}

/** A first query that makes sense for a metric of this type. */
export function firstQuery(metric: Listed, businessService: string | undefined): string {
  const matcher = businessService ? `{business_service=${JSON.stringify(businessService)}}` : '';
  const bucket = metric.members.find((name) => name.endsWith('_bucket'));
  if (bucket) return `histogram_quantile(0.95, sum by (le, component) (rate(${bucket}${matcher}[5m])))`;
  if (metric.type === 'histogram')
    return `histogram_quantile(0.95, sum by (component) (rate(${metric.name}${matcher}[5m])))`;
  if (metric.type === 'counter') return `sum by (component) (rate(${metric.name}${matcher}[5m]))`;
  return `${metric.name}${matcher}`;
}
