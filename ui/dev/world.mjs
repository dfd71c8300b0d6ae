// A small streaming company, computed from the clock alone: the same instant always gives the same telemetry.

const REGIONS = ['eu-west-1', 'us-east-1', 'ap-southeast-2'];

/** component, its OMD service and business service, requests per second, p95 in ms, error ratio, what it calls */
const TABLE = [
  ['player-api', 'playback', 'video-playback', 84, 120, 0.002, ['drm-license', 'marker-store', 'session-api']],
  ['drm-license', 'drm', 'video-playback', 40, 45, 0.001, ['keys-dynamodb']],
  ['marker-store', 'markers', 'video-playback', 32, 38, 0.041, ['markers-dynamodb']],
  ['session-api', 'identity', 'login', 51, 30, 0.001, ['session-redis']],
  ['login-web', 'identity', 'login', 18, 210, 0.004, ['session-api', 'accounts-postgres']],
  ['checkout', 'billing', 'payments', 6, 420, 0.003, ['payment-gateway', 'invoices-postgres']],
  ['payment-gateway', 'billing', 'payments', 5, 310, 0.006, []],
  ['invoice-worker', 'invoicing', 'payments', 2, 900, 0.001, ['invoices-postgres']],
  ['recommender', 'ranking', 'recommendations', 61, 95, 0.001, ['features-redis', 'titles-api']],
  ['trainer', 'ranking', 'recommendations', 0.4, 2600, 0, []],
  ['titles-api', 'titles', 'catalogue', 112, 48, 0.0005, ['titles-postgres']],
  ['search-api', 'search', 'catalogue', 37, 160, 0.002, ['titles-api']],
  ['artwork-cdn', 'artwork', 'catalogue', 140, 22, 0.0003, []],
  ['ad-decision', 'decisioning', 'advertising', 29, 75, 0.008, ['ad-inventory']],
  ['ad-inventory', 'inventory', 'advertising', 22, 33, 0.001, []],
];

export const COMPONENTS = TABLE.map(([name, service, businessService, rate, p95, errors, calls], index) => ({
  index,
  name,
  service,
  businessService,
  rate,
  p95,
  errors,
  calls,
}));
export const componentNamed = (name) => COMPONENTS.find((each) => each.name === name);

export function random(...parts) {
  let hash = 2166136261;
  for (const char of parts.join('|')) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 2246822507);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 3266489909);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Day-and-night traffic with some noise. */
export function traffic(second) {
  const hour = (second / 3600) % 24;
  return (
    0.75 + 0.35 * Math.sin(((hour - 14) / 24) * 2 * Math.PI) + 0.08 * (random('noise', Math.floor(second / 60)) - 0.5)
  );
}

/** The markers' table fails for ten minutes of every forty. */
export const faulty = (component, second) =>
  component.name === 'marker-store' && second % 2400 > 1700 && second % 2400 < 2350;
export const slow = (component, second) => (component.name === 'checkout' && second % 3600 > 2700 ? 2.4 : 1);
export const errorRatio = (component, second) => (faulty(component, second) ? 0.12 : Math.min(component.errors, 0.008));

const MESSAGES = {
  'player-api': [
    'play started title=tt{n} device=tv country=DE',
    'manifest served bitrate=7800 title=tt{n}',
    'heartbeat position={n}s',
  ],
  'marker-store': ['markers read title=tt{n} count=6', 'GetItem markers-dynamodb title=tt{n}'],
  'login-web': ['login accepted method=passkey country=FR', 'registration finished plan=standard country=NL'],
  checkout: ['payment taken amount=12.99 currency=EUR method=card tax=0.21', 'checkout opened plan=premium'],
  'ad-decision': ['ad chosen campaign=c{n} slot=preroll', 'no ad for slot=midroll campaign budget spent'],
};
const ERRORS = {
  'marker-store':
    'GetItem failed: ResourceNotFoundException: Requested resource not found: Table: markers-dynamodb (404)',
  checkout: 'payment gateway answered 502 after 3 attempts',
};

export function traceId(component, second, index) {
  const head =
    Math.floor(second).toString(16).padStart(8, '0') +
    component.index.toString(16).padStart(2, '0') +
    index.toString(16).padStart(2, '0');
  let rest = '';
  for (let at = 0; at < 20; at++) rest += Math.floor(random(head, at) * 16).toString(16);
  return head + rest;
}

function levelOf(component, second, index) {
  const dice = random('level', component.name, second, index);
  if (dice < errorRatio(component, second) * 3) return 'ERROR';
  if (dice < 0.05) return 'WARN';
  return dice > 0.86 ? 'DEBUG' : 'INFO';
}

/** The log rows of one component in one second, oldest first. */
export function logsOf(component, second) {
  const wanted = (component.rate / 90) * traffic(second);
  const count = Math.floor(wanted) + (random('count', component.name, second) < wanted % 1 ? 1 : 0);
  return Array.from({ length: count }, (_, index) => {
    const level = levelOf(component, second, index);
    const n = Math.floor(random('n', component.name, second, index) * 9000) + 1000;
    const texts = MESSAGES[component.name] ?? ['request finished status=200 path=/v1/{n}', 'cache refreshed keys={n}'];
    let line = texts[Math.floor(random('text', second, index, component.name) * texts.length)].replaceAll('{n}', n);
    if (level === 'ERROR') line = ERRORS[component.name] ?? `upstream timeout after ${n} ms`;
    if (level === 'WARN') line = `slow call: ${n} ms over the budget`;
    if (component.name === 'recommender') {
      line = JSON.stringify({
        level: level.toLowerCase(),
        message: line,
        model: 'two-tower-9',
        candidates: n,
        user: { segment: 'drama', market: 'SE' },
      });
    }
    const trace = traceId(component, second, index);
    return {
      ns: `${second}${String(Math.floor(random('ns', component.name, second, index) * 1e9)).padStart(9, '0')}`,
      line,
      stream: {
        service_name: component.name,
        business_service: component.businessService,
        service: component.service,
        component: component.name,
        region: REGIONS[n % 3],
        environment: 'production',
        k8s_pod_name: `${component.name}-${(n % 4) + 1}`,
      },
      metadata: {
        severity_text: level,
        severity_number: { DEBUG: '5', INFO: '9', WARN: '13', ERROR: '17' }[level],
        trace_id: trace,
        span_id: trace.slice(8, 24),
      },
    };
  });
}

const KIND = { server: 2, client: 3, internal: 1 };

/** One request through the company, as OTLP spans in call order. */
export function traceOf(id) {
  const second = parseInt(id.slice(0, 8), 16);
  const component = COMPONENTS[parseInt(id.slice(8, 10), 16)];
  if (!component || !Number.isFinite(second) || second < 1.5e9 || second > Date.now() / 1000 + 60) return undefined;
  const spans = [];
  const start = BigInt(second) * 1_000_000_000n + BigInt(Math.floor(random(id, 'start') * 9e8));
  const call = (callee, parent, offset, depth, name) => {
    const own = callee.p95 * slow(callee, second) * (0.3 + random(id, callee.name, spans.length, 'ms') * 0.9);
    const failed = callee.name === 'marker-store' && random(id, 'err') < (faulty(callee, second) ? 0.8 : 0.02);
    const span = spanOf(id, spans.length, parent, name, 'server', callee, failed, 'GET');
    spans.push(span);
    let at = offset + own * 0.08;
    for (const next of callee.calls) {
      const target = componentNamed(next);
      const client = spanOf(
        id,
        spans.length,
        span.spanId,
        target ? `GET ${next}` : `${next} query`,
        'client',
        callee,
        failed && !target,
        next,
      );
      spans.push(client);
      const began = at;
      if (target && depth < 4) at = call(target, client.spanId, at + 0.6, depth + 1, `GET /v1/${target.service}`) + 0.6;
      else at += own * (0.12 + random(id, next, 'leaf') * 0.3);
      place(client, start, began, at);
    }
    const parts = 1 + Math.floor(random(id, callee.name, 'parts') * 3);
    for (let part = 0; part < parts; part++) {
      const inner = spanOf(
        id,
        spans.length,
        span.spanId,
        ['decode', 'authorise', 'render'][part],
        'internal',
        callee,
        false,
        '',
      );
      spans.push(inner);
      const began = at;
      at += own * (0.05 + random(id, part, callee.name, 'inner') * 0.2);
      place(inner, start, began, at);
    }
    at += own * 0.05;
    place(span, start, offset, at);
    return at;
  };
  call(component, '', 0, 0, `GET /v1/${component.service}`);
  return spans;
}

function place(span, start, fromMs, toMs) {
  span.startTimeUnixNano = String(start + BigInt(Math.round(fromMs * 1e6)));
  span.endTimeUnixNano = String(start + BigInt(Math.round(toMs * 1e6)));
  for (const event of span.events)
    event.timeUnixNano = String(start + BigInt(Math.round((toMs - (toMs - fromMs) * 0.1) * 1e6)));
}

function spanOf(id, index, parent, name, kind, component, failed, target) {
  const text = (key, value) => ({ key, value: { stringValue: value } });
  const attributes =
    kind === 'internal'
      ? [text('code.function.name', name)]
      : [
          text('http.request.method', 'GET'),
          text('url.path', `/v1/${component.service}`),
          text('server.address', target),
        ];
  if (kind !== 'internal')
    attributes.push({ key: 'http.response.status_code', value: { intValue: failed ? '404' : '200' } });
  if (target === 'markers-dynamodb')
    attributes.push({
      key: 'aws.dynamodb.table_names',
      value: { arrayValue: { values: [{ stringValue: 'markers' }] } },
    });
  const exception = {
    name: 'exception',
    attributes: [
      text('exception.type', 'ResourceNotFoundException'),
      text('exception.message', 'Requested resource not found'),
    ],
  };
  return {
    component: component.name,
    traceId: id,
    spanId: (index + 1).toString(16).padStart(4, '0') + id.slice(12, 24),
    parentSpanId: parent,
    name,
    kind: KIND[kind],
    attributes,
    events: failed ? [exception] : [],
    links: [],
    status: failed ? { code: 2, message: 'Requested resource not found' } : {},
  };
}
