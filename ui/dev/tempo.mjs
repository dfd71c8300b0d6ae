// The mock's traces: searched by form or by as much of TraceQL as the pages write, and read one at a time.
import { Refused, seconds } from './loki.mjs';
import { COMPONENTS, componentNamed, random, traceId, traceOf } from './world.mjs';

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUSES = ['unset', 'ok', 'error'];
/** Candidates that a search looks at for each trace that it wants. */
const TRIES = 8;

export function search(params) {
  const start = seconds(params.get('start'));
  const end = Math.min(Date.now() / 1000, seconds(params.get('end')));
  const keep = params.has('q') ? traceqlTest(params.get('q')) : tagsTest(params);
  const limit = Number(params.get('limit') || 20);
  const traces = [];
  for (let round = 0; round < limit * TRIES && traces.length < limit; round++) {
    const second = Math.floor(end - random('at', Math.floor(end), round) * (end - start));
    const component = COMPONENTS[Math.floor(random('who', round) * COMPONENTS.length)];
    const id = traceId(component, second, round % 200);
    const spans = traceOf(id) ?? [];
    const matched = spans.length ? keep(spans) : [];
    if (matched.length) traces.push(summary(id, spans, matched));
  }
  return { traces, metrics: { inspectedTraces: limit * TRIES, completedJobs: 1, totalJobs: 1 } };
}

const nanos = ({ startTimeUnixNano, endTimeUnixNano }) => Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano));

function summary(id, spans, matched) {
  const [root] = spans;
  const serviceStats = {};
  for (const { component, status } of spans) {
    const stats = (serviceStats[component] ??= { spanCount: 0, errorCount: 0 });
    stats.spanCount += 1;
    if (status.code === 2) stats.errorCount += 1;
  }
  const spanSet = {
    matched: matched.length,
    spans: matched.slice(0, 3).map((span) => ({
      spanID: span.spanId,
      startTimeUnixNano: span.startTimeUnixNano,
      durationNanos: String(nanos(span)),
      attributes: [],
    })),
  };
  return {
    traceID: id,
    rootServiceName: root.component,
    rootTraceName: root.name,
    startTimeUnixNano: root.startTimeUnixNano,
    durationMs: Math.round(nanos(root) / 1e6),
    serviceStats,
    spanSets: [spanSet],
  };
}

/** Tempo's older search: `tags=name=value`, the shortest and the longest duration. */
function tagsTest(params) {
  const tags = [...(params.get('tags') ?? '').matchAll(/([\w.]+)=("[^"]*"|\S+)/g)].map(([, name, value]) =>
    comparison(name === 'status' ? name : `.${name}`, '=', value.replaceAll('"', '')),
  );
  const least = durationNs(params.get('minDuration') || '0ns');
  const most = durationNs(params.get('maxDuration') || '1000h');
  return (spans) => {
    const took = nanos(spans[0]);
    if (took < least || took > most) return [];
    return tags.every((test) => spans.some((span) => test(span, spans))) ? spans.slice(0, 1) : [];
  };
}

/** `{ a = 1 && b =~ "x" || c }` and nothing behind it; what else there is of TraceQL is refused as the server refuses nonsense. */
function traceqlTest(query) {
  const inside = /^\s*\{([^{}]*)\}\s*$/.exec(query)?.[1];
  if (inside === undefined)
    throw new Refused(400, `the mock knows one pair of braces of TraceQL, and nothing behind it`);
  if (inside.trim() === '') return (spans) => spans.slice(0, 1);
  const ways = inside.split('||').map((way) => way.split('&&').map(readComparison));
  return (spans) => spans.filter((span) => ways.some((tests) => tests.every((test) => test(span, spans))));
}

function readComparison(text) {
  const parts = /^\s*([\w.:"-]+)\s*(=~|!~|!=|>=|<=|=|>|<)\s*("(?:[^"\\]|\\.)*"|[^\s"]+)\s*$/.exec(text);
  if (!parts) throw new Refused(400, `parse error: unexpected ${text.trim() || 'end'}`);
  return comparison(parts[1], parts[2], parts[3].startsWith('"') ? JSON.parse(parts[3]) : parts[3]);
}

function comparison(name, op, wanted) {
  const pattern = op.endsWith('~') ? new RegExp(`^(?:${wanted})$`) : undefined;
  const number = /^[\d.]+(ns|us|µs|ms|s|m|h)$/.test(wanted) ? durationNs(wanted) : Number(wanted);
  return (span, spans) => {
    const value = valueOf(name, span, spans);
    if (value === undefined) return false;
    if (pattern) return pattern.test(String(value)) === (op === '=~');
    const order = Number.isFinite(number) ? Number(value) - number : String(value) === wanted ? 0 : 1;
    return { '=': order === 0, '!=': order !== 0, '>': order > 0, '>=': order >= 0, '<': order < 0, '<=': order <= 0 }[
      op
    ];
  };
}

function valueOf(name, span, spans) {
  switch (name.replace(/^(span|trace):/, (scope) => (scope === 'trace:' ? 'trace.' : ''))) {
    case 'name':
      return span.name;
    case 'status':
      return STATUSES[span.status.code ?? 0];
    case 'statusMessage':
      return span.status.message;
    case 'kind':
      return KINDS[span.kind];
    case 'duration':
      return nanos(span);
    case 'traceDuration':
    case 'trace.duration':
      return nanos(spans[0]);
    case 'rootName':
    case 'trace.rootName':
      return spans[0].name;
    case 'rootServiceName':
    case 'trace.rootService':
      return spans[0].component;
  }
  const key = name.replace(/^(span|resource)?\./, '').replaceAll('"', '');
  const { value } = [...span.attributes, ...resourceOf(span.component)].find((each) => each.key === key) ?? {};
  return value && (value.stringValue ?? value.intValue ?? value.boolValue);
}

const UNIT_NS = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

function durationNs(text) {
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) sum += Number(number) * UNIT_NS[unit];
  return sum;
}

function resourceOf(name) {
  const text = (key, value) => ({ key, value: { stringValue: value } });
  const { businessService, service } = componentNamed(name);
  return [
    text('service.name', name),
    text('service.version', '4.12.0'),
    text('cloud.region', 'eu-west-1'),
    text('omd.business_service', businessService),
    text('omd.service', service),
    text('omd.component', name),
    text('business_service', businessService),
  ];
}

export function trace(id) {
  const spans = traceOf(id);
  if (!spans) throw new Refused(404, `cannot find trace ${id}: no span has this id`);
  const names = [...new Set(spans.map((span) => span.component))];
  return {
    trace: {
      resourceSpans: names.map((name) => ({
        resource: { attributes: resourceOf(name) },
        scopeSpans: [
          {
            scope: { name: 'io.tyto.mock' },
            spans: spans.filter((span) => span.component === name).map((span) => ({ ...span, component: undefined })),
          },
        ],
      })),
    },
  };
}

const TAGS = {
  intrinsic: ['name', 'status', 'statusMessage', 'kind', 'duration', 'traceDuration', 'rootName', 'rootServiceName'],
  resource: ['service.name', 'service.version', 'cloud.region', 'omd.business_service', 'omd.service', 'omd.component'],
  span: ['http.request.method', 'http.response.status_code', 'server.address', 'url.path', 'code.function.name'],
};

/** Names to search by, and the values of one; undefined for any other path. */
export function tags(path) {
  if (path === '/tempo/api/v2/search/tags')
    return { scopes: Object.entries(TAGS).map(([name, list]) => ({ name, tags: list })) };
  const name = /^\/tempo\/api\/(?:v2\/)?search\/tag\/([^/]+)\/values$/.exec(path)?.[1];
  if (!name) return undefined;
  const wanted = decodeURIComponent(name);
  const now = Math.floor(Date.now() / 1000);
  const traces = COMPONENTS.flatMap((component) =>
    [0, 1, 2].map((index) => traceOf(traceId(component, now - 60, index))),
  );
  const values = new Set(traces.flatMap((spans) => spans.map((span) => valueOf(wanted, span, spans))));
  values.delete(undefined);
  if (wanted === 'status') return { tagValues: STATUSES.map((value) => ({ type: 'keyword', value })) };
  if (wanted === 'kind') return { tagValues: KINDS.map((value) => ({ type: 'keyword', value })) };
  return { tagValues: [...values].sort().map((value) => ({ type: 'string', value: String(value) })) };
}
