// The mock's metrics: no evaluator, only enough to draw believable lines for the shapes of query the pages offer.
import { COMPONENTS, errorRatio, random, slow, traffic } from './world.mjs';

const METRICS = {
  http_server_request_duration_seconds_bucket: ['histogram', 'Duration of HTTP server requests.'],
  http_server_request_duration_seconds_count: ['histogram', 'Duration of HTTP server requests.'],
  http_server_request_duration_seconds_sum: ['histogram', 'Duration of HTTP server requests.'],
  http_server_active_requests: ['gauge', 'Number of active HTTP server requests.'],
  play_starts_total: ['counter', 'Plays started by viewers.'],
  payments_total: ['counter', 'Payments, by outcome.'],
  process_memory_usage_bytes: ['gauge', 'Memory in use by the process.'],
  process_cpu_time_seconds_total: ['counter', 'CPU seconds used by the process.'],
  db_client_connection_count: ['gauge', 'Connections in the pool.'],
  queue_messages_visible: ['gauge', 'Messages waiting in the queue.'],
  system_cpu_utilization_ratio: ['gauge', 'Share of the CPU in use.'],
  up: ['gauge', ''],
};

function value(name, component, at, query) {
  const wobble = 0.9 + 0.2 * random(name, component.name, Math.floor(at / 30));
  if (/histogram_quantile/.test(query)) return ((component.p95 * slow(component, at)) / 1000) * wobble;
  if (/status_code=~"5|404/.test(query)) return component.rate * traffic(at) * errorRatio(component, at) * wobble;
  if (/_memory_/.test(name))
    return (180e6 + component.index * 31e6 + ((at + component.index * 997) % 7200) * 9000) * (0.99 + 0.02 * wobble);
  if (/_ratio/.test(name)) return Math.min(1, 0.2 + 0.4 * traffic(at) * wobble);
  if (/connection|active|queue/.test(name)) return Math.round(component.rate * 0.4 * traffic(at) * wobble + 3);
  if (name === 'up') return 1;
  if (/rate\s*\(/.test(query)) return component.rate * traffic(at) * wobble;
  return Math.floor((at % 864000) * component.rate);
}

function evaluate(query, times) {
  const name = Object.keys(METRICS).find((each) => new RegExp(`\\b${each}\\b`).test(query));
  const filters = [...query.matchAll(/(\w+)\s*=\s*"([^"]*)"/g)].filter(([, label]) => !/status|le$/.test(label));
  const by = /by\s*\(([^)]*)\)/
    .exec(query)?.[1]
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== 'le');
  const grouped = /\b(sum|avg|max|min|count|topk)\b/.test(query);
  const groups = new Map();
  if (!name && !/__name__/.test(query)) return groups;
  for (const component of COMPONENTS) {
    const labels = {
      __name__: name ?? 'up',
      service_name: component.name,
      component: component.name,
      service: component.service,
      business_service: component.businessService,
      region: 'eu-west-1',
    };
    if (!filters.every(([, label, want]) => (labels[label] ?? '') === want)) continue;
    const kept = grouped
      ? Object.fromEntries((by ?? []).filter((label) => labels[label]).map((label) => [label, labels[label]]))
      : labels;
    if (/rate\(|quantile/.test(query)) delete kept.__name__;
    const key = JSON.stringify(kept);
    if (!groups.has(key)) groups.set(key, { metric: kept, values: times.map(() => 0) });
    const { values } = groups.get(key);
    times.forEach((at, index) => {
      const one = value(name ?? 'up', component, at, query);
      values[index] = /quantile|max/.test(query) ? Math.max(values[index], one) : values[index] + one;
    });
  }
  return groups;
}

export function promApi(path, params, refuse) {
  const query = params.get('query') ?? '';
  const ok = (data) => ({ status: 'success', data });
  if (path.startsWith('/query') && (query.match(/[({[]/g) ?? []).length !== (query.match(/[)}\]]/g) ?? []).length) {
    throw refuse(400, `invalid parameter "query": 1:${query.length + 1}: parse error: unclosed left parenthesis`);
  }
  if (path === '/query_range') {
    const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(params.get(name)));
    const times = [];
    for (let at = start; at <= end; at += step) times.push(at);
    const result = [...evaluate(query, times).values()].map(({ metric, values }) => ({
      metric,
      values: values.map((each, index) => [times[index], String(each)]),
    }));
    return ok({ resultType: 'matrix', result });
  }
  if (path === '/query') {
    const time = Number(params.get('time') ?? Date.now() / 1000);
    const result = [...evaluate(query, [time]).values()].map(({ metric, values }) => ({
      metric,
      value: [time, String(values[0])],
    }));
    return ok({ resultType: 'vector', result });
  }
  if (path === '/label/__name__/values') return ok(Object.keys(METRICS));
  if (path === '/metadata')
    return ok(
      Object.fromEntries(
        Object.entries(METRICS).map(([name, [type, help]]) => [
          name.replace(/_(bucket|count|sum)$/, type === 'histogram' ? '' : '$&'),
          [{ type, help, unit: '' }],
        ]),
      ),
    );
  if (path === '/labels') return ok(['__name__', 'business_service', 'component', 'region', 'service', 'service_name']);
  const label = /^\/label\/(\w+)\/values$/.exec(path);
  if (label)
    return ok([...new Set([...evaluate('up', [0]).values()].map(({ metric }) => metric[label[1]]).filter(Boolean))]);
  if (path === '/series') return ok([...evaluate('up', [0]).values()].map(({ metric }) => metric));
  throw refuse(404, 'no such endpoint in the mock');
}
