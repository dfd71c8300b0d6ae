import { MetricChart } from '../metrics/MetricChart';
import { queryLogMetric } from '../../api/loki';
import { toNs } from '../../time/range';

/** A LogQL query that answers numbers is drawn as the metrics page draws its own. */
export function LogMetric({ query }: { query: string }) {
  return (
    <MetricChart
      query={query}
      source="logs"
      ask={(start, end, step, signal) =>
        queryLogMetric(query, { startNs: toNs(start * 1000), endNs: toNs(end * 1000) }, step, signal)
      }
    />
  );
}
