import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import type { Metric } from '../../api/prometheus';
import type { Unit } from '../../format/units';

type Metadata = ReadonlyMap<string, Metric>;

/** A unit before it is chosen how to write it; `count` is a number of things, so that things by things is a ratio. */
type Kind = Unit | 'count';

/** What the numbers of a PromQL answer are, read from its syntax tree: the metric's unit and what the functions make of it. */
export function unitOf(query: string, metadata: Metadata): Unit {
  const kind = new Reader(query, metadata).kind(parser.parse(query).topNode.firstChild);
  return kind === undefined || kind === 'count' ? 'none' : kind;
}

/** The metrics that a query names, each once. */
export function metricsOf(query: string): string[] {
  const found = new Set<string>();
  parser.parse(query).iterate({
    enter: (node) => {
      if (node.name === 'VectorSelector') found.add(nameOf(node.node, query));
    },
  });
  found.delete('');
  return [...found];
}

/** True when the query is a counter or histogram itself: it draws what was summed up since its start, and not what happened when. */
export function isRunningTotal(query: string, metadata: Metadata): boolean {
  const [name] = metricsOf(query);
  return parser.parse(query).topNode.firstChild?.name === 'VectorSelector' && !!name && isCounter(name, metadata);
}

/** True when the numbers are observations themselves, such as a quantile: what an exemplar holds lies on their scale. */
export function showsObservations(query: string): boolean {
  return /\bhistogram_(quantiles?|avg)\s*\(/.test(query) || /_sum\b[\s\S]*\/[\s\S]*_count\b/.test(query);
}

/** The unit of what a query's first histogram observed, and the unit in which its observations are counted. */
export function heatUnits(query: string, metadata: Metadata): { value: Unit; count: Unit } {
  const kind = unitOfMetric((metricsOf(query)[0] ?? '').replace(/_bucket$/, ''), metadata);
  return { value: kind === 'count' ? 'none' : kind, count: /\bi?rate\s*\(/.test(query) ? 'per_second' : 'none' };
}

export function isCounter(name: string, metadata: Metadata): boolean {
  const type = aboutOf(name, metadata)?.type;
  if (type === 'counter' || type === 'histogram') return true;
  return (type === undefined || type === 'unknown') && /_(total|bucket)$/.test(name);
}

function nameOf(selector: SyntaxNode, query: string): string {
  const name = selector.getChild('Identifier');
  if (name) return query.slice(name.from, name.to);
  const quoted = selector.getChild('LabelMatchers')?.getChild('QuotedLabelName');
  if (quoted) return query.slice(quoted.from + 1, quoted.to - 1);
  return /__name__\s*=\s*["'`]([^"'`]*)/.exec(query.slice(selector.from, selector.to))?.[1] ?? '';
}

function aboutOf(name: string, metadata: Metadata): Metric | undefined {
  return (
    metadata.get(name) ??
    metadata.get(name.replace(/_(bucket|count|sum)$/, '')) ??
    metadata.get(name.replace(/_total$/, ''))
  );
}

const NAMED: Record<string, Kind> = {
  s: 'seconds',
  seconds: 'seconds',
  second: 'seconds',
  ms: 'milliseconds',
  milliseconds: 'milliseconds',
  by: 'bytes',
  bytes: 'bytes',
  bit: 'bits',
  bits: 'bits',
  '1': 'ratio',
  ratio: 'ratio',
  ratios: 'ratio',
  '%': 'percent',
  percent: 'percent',
};

/** The unit of what was measured: of a histogram the unit of its observations. */
export function unitOfMetric(name: string, metadata: Metadata): Kind {
  const about = aboutOf(name, metadata);
  const histogram = about?.type === 'histogram' || about?.type === 'summary';
  const base = name.replace(/_total$/, '');
  if (base.endsWith('_bucket') || (base.endsWith('_count') && (histogram || about === undefined))) return 'count';
  const stem = base.replace(/_sum$/, '');
  if (/_(timestamp|boot_time|start_time)_seconds$|^node_time_seconds$/.test(stem)) return 'date';
  const suffix = /_(seconds|milliseconds|bytes|bits|ratio|percent)$/.exec(stem)?.[1];
  if (suffix) return NAMED[suffix] ?? 'none';
  if (/_utilization$/.test(stem)) return 'ratio';
  const named = NAMED[about?.unit?.toLowerCase() ?? ''];
  // OpenTelemetry says "1" of every number without a unit; only a gauge's is a share.
  if (named === 'ratio') return /_ratio|_utilization|_fraction/.test(stem) ? 'ratio' : 'none';
  if (named) return named;
  return about?.type === 'counter' || name.endsWith('_total') || about?.unit?.startsWith('{') ? 'count' : 'none';
}

const PER_SECOND: Partial<Record<Kind, Kind>> = {
  count: 'per_second',
  none: 'per_second',
  bytes: 'bytes_per_second',
  bits: 'bits_per_second',
  // Seconds of work in a second: how many are busy.
  seconds: 'none',
  milliseconds: 'none',
};

const SAME = new Set(
  'abs ceil floor round clamp clamp_max clamp_min increase delta idelta sort sort_desc sort_by_label sort_by_label_desc label_replace label_join info scalar vector histogram_sum predict_linear double_exponential_smoothing'.split(
    ' ',
  ),
);
const OF_OBSERVATIONS = new Set(['histogram_quantile', 'histogram_quantiles', 'histogram_avg', 'histogram_stddev']);
const RATES = new Set(['rate', 'irate', 'deriv']);
const COUNTS = new Set(['count_over_time', 'changes', 'resets', 'count', 'count_values', 'group']);

class Reader {
  constructor(
    private readonly query: string,
    private readonly metadata: Metadata,
  ) {}

  /** Undefined where the numbers have no unit of their own: a literal, or what could not be read. */
  kind(node: SyntaxNode | null): Kind | undefined {
    if (!node) return undefined;
    switch (node.name) {
      case 'VectorSelector':
        return unitOfMetric(nameOf(node, this.query), this.metadata);
      case 'FunctionCall':
        return this.call(node);
      case 'AggregateExpr':
        return this.aggregate(node);
      case 'BinaryExpr':
        return this.binary(node);
      case 'UnaryExpr':
        return this.kind(node.lastChild);
      case 'ParenExpr':
      case 'MatrixSelector':
      case 'SubqueryExpr':
      case 'OffsetExpr':
      case 'StepInvariantExpr':
      case 'AnchoredExpr':
      case 'SmoothedExpr':
        return this.kind(node.firstChild?.name === '(' ? node.firstChild.nextSibling : node.firstChild);
      default:
        return undefined;
    }
  }

  private call(node: SyntaxNode): Kind | undefined {
    const identifier = node.getChild('FunctionIdentifier');
    const name = identifier ? this.query.slice(identifier.from, identifier.to) : '';
    const inner = () => this.argument(node);
    if (RATES.has(name)) {
      const kind = inner();
      return kind && (PER_SECOND[kind] ?? 'none');
    }
    if (COUNTS.has(name)) return 'count';
    if (OF_OBSERVATIONS.has(name)) return this.observed(node);
    if (name === 'histogram_count') return this.rated(node) ? 'per_second' : 'count';
    if (name === 'histogram_fraction') return 'ratio';
    if (name === 'time' || name === 'timestamp' || /^ts_of_/.test(name)) return 'date';
    if (SAME.has(name) || /_over_time$/.test(name)) return inner();
    return 'none';
  }

  private aggregate(node: SyntaxNode): Kind | undefined {
    const operator = node.getChild('AggregateOp');
    const name = operator ? this.query.slice(operator.from, operator.to).toLowerCase() : '';
    return COUNTS.has(name) ? 'count' : this.argument(node);
  }

  /** The last argument that has a unit: parameters such as a quantile come before the series, or are plain numbers. */
  private argument(node: SyntaxNode): Kind | undefined {
    let found: Kind | undefined;
    for (let child = node.getChild('FunctionCallBody')?.firstChild ?? null; child; child = child.nextSibling)
      found = this.kind(child) ?? found;
    return found;
  }

  /** The unit of a histogram's observations, whatever was done with its buckets. */
  private observed(node: SyntaxNode): Kind {
    const [name = ''] = metricsOf(this.query.slice(node.from, node.to));
    return unitOfMetric(name.replace(/_bucket$/, ''), this.metadata);
  }

  private rated(node: SyntaxNode): boolean {
    return /\b(rate|irate)\s*\(/.test(this.query.slice(node.from, node.to));
  }

  private binary(node: SyntaxNode): Kind | undefined {
    const left = this.kind(node.firstChild);
    const right = this.kind(node.lastChild);
    const has = (name: string) => node.getChild(name) !== null;
    if (has('BoolModifier')) return 'none';
    if (has('Div')) return quotient(left, right, node, this.query);
    if (has('Mul')) return this.product(node, left, right);
    if (has('Sub') && left === 'date' && right === 'date') return 'seconds';
    if (has('Pow') || has('Atan2')) return 'none';
    return left ?? right;
  }

  private product(node: SyntaxNode, left: Kind | undefined, right: Kind | undefined): Kind | undefined {
    const factor = [node.firstChild, node.lastChild].map((each) => each && this.query.slice(each.from, each.to));
    if (factor.includes('100') && (left ?? right) === 'ratio') return 'percent';
    if (factor.includes('8') && (left ?? right) === 'bytes_per_second') return 'bits_per_second';
    if (factor.includes('8') && (left ?? right) === 'bytes') return 'bits';
    if (factor.includes('1000') && (left ?? right) === 'seconds') return 'milliseconds';
    return left === undefined || right === undefined ? (left ?? right) : 'none';
  }
}

function quotient(left: Kind | undefined, right: Kind | undefined, node: SyntaxNode, query: string): Kind | undefined {
  if (right === undefined) return left && (isNumber(node.lastChild) ? 'none' : left);
  if (left === undefined) return 'none';
  // The mean of a histogram: seconds of observations by their number. `rate` made a plain number of the seconds.
  const [over = '', under = ''] = [node.firstChild, node.lastChild].map((each) =>
    each ? query.slice(each.from, each.to) : '',
  );
  const sum = metricsOf(over).find((name) => name.endsWith('_sum'));
  if (sum && metricsOf(under).includes(sum.replace(/_sum$/, '_count'))) return unitOfMetric(sum, new Map());
  if (left === right) return 'ratio';
  if (right === 'count') return left;
  if (right === 'per_second') return left === 'bytes_per_second' ? 'bytes' : 'none';
  return 'none';
}

function isNumber(node: SyntaxNode | null): boolean {
  return node?.name === 'NumberDurationLiteral';
}
