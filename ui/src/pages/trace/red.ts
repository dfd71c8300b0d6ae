import type { Unit } from '../../format/units';
import type { Identity } from './identity';

/** One small picture beside a span. */
export interface Gauge {
  name: string;
  query: string;
  unit: Unit;
  /** What it says when there are no numbers: absence is not zero. */
  bad?: boolean;
}

/** Several pictures from one family of metrics; `probe` finds whether there are any. */
export interface Family {
  /** Where the numbers come from, in words. */
  from: string;
  probe: string;
  gauges: Gauge[];
}

const WINDOW = '2m';

/**
 * Rate, errors and latency of the span's service, the best source first: what is computed from its spans, then what it measures of the
 * requests it serves, then of the messages it takes.
 */
export function redFamilies(service: string, { component }: Identity): Family[] {
  const ofSpans = `{service=${text(service)}}`;
  const own = `{component=${text(component)}}`;
  return [
    red(
      'its spans',
      'traces_spanmetrics_calls_total',
      'traces_spanmetrics_latency_bucket',
      ofSpans,
      'status_code="STATUS_CODE_ERROR"',
    ),
    red(
      'the requests it serves',
      'http_server_request_duration_seconds_count',
      'http_server_request_duration_seconds_bucket',
      own,
      'http_response_status_code=~"5.."',
    ),
    red(
      'the messages it takes',
      'messaging_process_duration_seconds_count',
      'messaging_process_duration_seconds_bucket',
      own,
      'error_type!=""',
    ),
  ];
}

export function processFamily({ component }: Identity): Family {
  const own = `{component=${text(component)}}`;
  return {
    from: 'its processes',
    probe: `process_cpu_utilization_ratio${own} or process_memory_usage_bytes${own}`,
    gauges: [
      { name: 'CPU', query: `avg(process_cpu_utilization_ratio${own})`, unit: 'ratio' },
      { name: 'Memory', query: `max(process_memory_usage_bytes${own})`, unit: 'bytes' },
    ],
  };
}

function red(from: string, count: string, bucket: string, selector: string, failed: string): Family {
  const errors = `${selector.slice(0, -1)}, ${failed}}`;
  return {
    from,
    probe: `${count}${selector}`,
    gauges: [
      { name: 'Requests', query: `sum(rate(${count}${selector}[${WINDOW}]))`, unit: 'per_second' },
      {
        name: 'Errors',
        query: `(sum(rate(${count}${errors}[${WINDOW}])) or vector(0)) / sum(rate(${count}${selector}[${WINDOW}]))`,
        unit: 'ratio',
        bad: true,
      },
      {
        name: 'p95',
        query: `histogram_quantile(0.95, sum by (le) (rate(${bucket}${selector}[${WINDOW}])))`,
        unit: 'seconds',
      },
    ],
  };
}

function text(value: string): string {
  return JSON.stringify(value);
}
