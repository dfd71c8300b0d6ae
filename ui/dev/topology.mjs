// The mock's map: the small company as its traces call each other, or, with `COMPANY=200`, a large one drawn by chance.
import { COMPONENTS, errorRatio, random, slow, traffic } from './world.mjs';

const MINUTE_S = 60;

/** component, the business service and service it is in, requests per second, p95 in ms, error ratio now, what it calls by id */
function smallCompany(second) {
  return COMPONENTS.map((each) => ({
    name: each.name,
    service: each.service,
    businessService: each.businessService,
    rate: each.rate * traffic(second),
    p95: each.p95 * slow(each, second),
    errors: errorRatio(each, second),
    calls: each.calls.map((name) => {
      const callee = COMPONENTS.find((other) => other.name === name);
      return callee ? idOf(callee) : `database:${name}`;
    }),
    root: !COMPONENTS.some(({ calls }) => calls.includes(each.name)),
  }));
}

const BUSINESSES = 'playback login payments catalogue search ads profiles offers messaging reporting'.split(' ');
const SERVICES = 'edge core ranking billing content sync'.split(' ');
const PARTS = 'api worker gateway store-proxy scheduler'.split(' ');

/** As companies grow: pages at the edge, domains behind them, a few that everybody calls, databases and queues below. */
function largeCompany(count, second) {
  const all = Array.from({ length: count }, (_, index) => {
    const businessService = BUSINESSES[Math.floor((index / count) * BUSINESSES.length)];
    const service = SERVICES[Math.floor(random('service', Math.floor(index / 4)) * SERVICES.length)];
    const name = `${businessService}-${service}-${PARTS[index % PARTS.length]}-${String(index).padStart(3, '0')}`;
    const depth = index % 4;
    return { index, name, businessService, service: `${businessService}-${service}`, depth, calls: [] };
  });
  const hubs = [3, 7, 11].map((index) => all[index]);
  for (const each of all) {
    const below = all.filter(({ depth }) => depth === each.depth + 1);
    const near = below.filter(({ businessService }) => businessService === each.businessService);
    const pick = (list, key) => list[Math.floor(random(key, each.index) * list.length)];
    if (near.length) each.calls.push(idOf(pick(near, 'a')), idOf(pick(near, 'b')));
    if (below.length && random('far', each.index) < 0.35) each.calls.push(idOf(pick(below, 'c')));
    if (random('hub', each.index) < 0.2 && !hubs.includes(each)) each.calls.push(idOf(pick(hubs, 'h')));
    if (each.depth === 3) each.calls.push(`database:${each.service}-db`);
    if (each.index % 13 === 5) each.calls.push(`queue:${each.service}-events`);
    if (each.index % 29 === 8) each.calls.push(`external:api.partner-${each.index % 3}.example`);
    each.calls = [...new Set(each.calls)].filter((id) => id !== idOf(each));
    each.root = each.depth === 0 && each.index % 3 === 0;
    each.rate = (2 + 180 * random('rate', each.index) ** 3) * traffic(second);
    each.p95 = 12 + 900 * random('p95', each.index) ** 5;
    each.errors = each.index === 41 ? 0.22 : each.index % 47 === 9 ? 0.018 : 0;
  }
  return all;
}

const idOf = ({ businessService, service, name }) => `component:${businessService}/${service}/${name}`;

function companyAt(second) {
  const count = Number(process.env.COMPANY ?? 0);
  return count > 0 ? largeCompany(count, second) : smallCompany(second);
}

export function topology(params) {
  const at = params.has('at') ? Number(params.get('at')) : undefined;
  const end = Math.floor((at ?? Number(params.get('end'))) / MINUTE_S) * MINUTE_S;
  const start = Math.floor((at === undefined ? Number(params.get('start')) : at - 300) / MINUTE_S) * MINUTE_S;
  const seen = { first_seen: start, last_seen: end };
  const company = companyAt(end);
  const entities = new Map();
  const add = (entity) => entities.set(entity.id, { ...seen, declared: true, ...entity });
  const edges = [];
  const edge = (from, to, rate, errors, p95, kind) =>
    edges.push({
      ...{ from, to, kind, requests_per_second: rate, errors_per_second: rate * errors },
      ...{ p50_seconds: p95 / 2600, p95_seconds: p95 / 1000, declared: true, ...seen },
    });
  const served = (rate, errors, p95) => ({
    ...{ requests_per_second: rate, errors_per_second: rate * errors, p95_seconds: p95 / 1000 },
  });
  for (const each of company) {
    const { name, service, businessService: business } = each;
    const parents = [`business_service:${business}`, `service:${business}/${service}`];
    add({ id: parents[0], kind: 'business_service', name: business, business_service: business });
    add({ id: parents[1], kind: 'service', name: service, business_service: business, service, parent: parents[0] });
    const place = { business_service: business, service, parent: parents[1] };
    add({ id: idOf(each), kind: 'component', name, ...place, ...served(each.rate, each.errors, each.p95) });
    if (each.root) {
      add({ id: 'user:', kind: 'user', name: 'users' });
      edge('user:', idOf(each), each.rate, each.errors, each.p95, 'call');
    }
  }
  for (const kind of ['service', 'business_service'])
    for (const whole of entities.values()) if (whole.kind === kind) addUp(whole, entities);
  const byId = new Map(company.map((each) => [idOf(each), each]));
  for (const each of company)
    for (const to of each.calls) {
      const callee = byId.get(to);
      const [kind, name] = to.split(':');
      const p95 = callee?.p95 ?? 3 + 20 * random('store', to);
      const errors = callee ? callee.errors : each.errors;
      if (!callee) add({ id: to, kind, name, ...served(each.rate, errors, p95) });
      edge(idOf(each), to, each.rate / 3, errors, p95, { database: 'database', queue: 'messaging' }[kind] ?? 'call');
    }
  return { start, end, level: 'component', entities: [...entities.values()], edges, warnings: [] };
}

/** What the parts served, served the whole. */
function addUp(whole, entities) {
  const parts = [...entities.values()].filter(({ parent }) => parent === whole.id);
  const sum = (name) => parts.reduce((total, part) => total + part[name], 0);
  whole.requests_per_second = sum('requests_per_second');
  whole.errors_per_second = sum('errors_per_second');
  whole.p95_seconds = Math.max(...parts.map(({ p95_seconds: p95 }) => p95));
}

/** One call that nobody declared, one that nobody makes. */
export function drift(params) {
  const { edges } = topology(params);
  const called = edges.find(({ to }) => to.startsWith('database:'));
  return {
    called_not_declared: called ? [{ from: called.from, to: called.to }] : [],
    declared_never_seen: [],
    unknown_callers: [],
    wrong_owner: [],
    components_without_dependencies: 1,
  };
}
