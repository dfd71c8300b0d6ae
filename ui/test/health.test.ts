import { afterEach, describe, expect, it, vi } from 'vitest';
import { fetchOverview, type BusinessService, type Overview } from '../src/api/tyto';
import { formatPercent } from '../src/format/units';
import { ofBusinessService } from '../src/pages/logs/selector';
import { unclaimedParts } from '../src/pages/home/unclaimed';
import { healthOf, sortByTrouble, summarize, title } from '../src/pages/home/health';

function service(name: string, { rate = 10, errors = [0, 0, 0, 0], p95 = [100, 100, 100, 100] } = {}): BusinessService {
  return {
    name,
    services: [],
    rate,
    errorRatio: errors.reduce((sum, each) => sum + each, 0) / errors.length,
    p95Ms: Math.max(...p95),
    spark: { stepSeconds: 60, rate: errors.map(() => rate), errorRatio: errors, p95Ms: p95 },
  };
}

const overview = (...businessServices: BusinessService[]): Overview => ({
  businessServices,
  unassigned: { logs: 0, spans: 0, series: 0 },
});
const says = (...services: BusinessService[]) => summarize(overview(...services)).text;

describe('summarize', () => {
  it('says that all is well', () => {
    expect(says(service('a'), service('b'))).toBe('All two business services are healthy.');
  });
  it('names the failing service and its share of failures', () => {
    expect(says(service('login'), service('video-playback', { errors: [0, 0, 0.04, 0.04, 0.04] }))).toBe(
      'Video playback is failing 4 % of requests. The other one is healthy.',
    );
  });
  it('names a slow service with what is usual', () => {
    const slow = service('payments', {
      errors: Array<number>(9).fill(0),
      p95: [400, 400, 400, 400, 400, 400, 1200, 1200, 1200],
    });
    expect(says(slow, service('a'), service('b'))).toBe(
      'Payments is slow: most requests took up to 1.2 s, usually 400 ms. The other two are healthy.',
    );
  });
  it('does not call silence healthy', () => {
    expect(says(service('a', { rate: 0 }))).toBe('No business service had any traffic in this time.');
    expect(says(service('a'), service('b'), service('c', { rate: 0 }))).toBe(
      'All two business services with traffic are healthy.',
    );
  });
  it('counts what it does not name', () => {
    const bad = (name: string) => service(name, { errors: [0.1, 0.1, 0.1] });
    expect(says(bad('a'), bad('b'), bad('c'))).toBe(
      'A is failing 10 % of requests; B is failing 10 % of requests, and one more needs a look.',
    );
  });
});

it('judges by the end of the range, not by its average', () => {
  expect(healthOf(service('a', { errors: [0.5, 0.5, 0, 0, 0] })).state).toBe('healthy');
  expect(healthOf(service('a', { errors: [0, 0, 0, 0, 0.06, 0.06] })).state).toBe('failing');
  expect(healthOf(service('a', { errors: [0, 0.02, 0.02, 0.02] })).state).toBe('degraded');
});

it('makes no alarm of one failure among few requests, and still sees a quiet service fail', () => {
  const few = (errors: number[]) => healthOf(service('a', { rate: 0.05, errors })).state;
  const calm = Array<number>(60).fill(0);
  expect(few([...calm, 0, 0, 1 / 3])).toBe('healthy');
  expect(few([...calm, 1 / 3, 2 / 3, 1 / 3])).toBe('failing');
});

it('puts trouble first, then the busier service', () => {
  const order = sortByTrouble([
    service('calm', { rate: 5 }),
    service('busy', { rate: 50 }),
    service('bad', { errors: [0.2, 0.2, 0.2] }),
  ]);
  expect(order.map(({ service: { name } }) => name)).toEqual(['bad', 'busy', 'calm']);
});

it('puts the service that is slowed down most before one that is slow and busier', () => {
  const slow = (name: string, rate: number, p95Ms: number) =>
    service(name, { rate, errors: Array<number>(9).fill(0), p95: [60, 60, 60, 60, 60, 60, p95Ms, p95Ms, p95Ms] });
  const order = sortByTrouble([slow('busy', 50, 150), slow('crawling', 1, 900)]);
  expect(order.map(({ service: { name } }) => name)).toEqual(['crawling', 'busy']);
});

it('writes names as people do', () => {
  expect(title('video-playback')).toBe('Video playback');
});

describe('an overview', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('has no error ratio where there were no requests', async () => {
    const quiet = { name: 'a', services: [], rate: 0, error_ratio: null, p95_ms: null, spark: {} };
    const body = JSON.stringify({ business_services: [quiet], unassigned: {} });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body)));
    const { businessServices } = await fetchOverview(0, 1, new AbortController().signal);
    expect(formatPercent(businessServices[0]?.errorRatio ?? 0)).toBe('–');
    expect(businessServices.map((each) => healthOf(each).state)).toEqual(['quiet']);
  });
});

it('says what nobody claims, and leads to it', () => {
  expect(unclaimedParts({ logs: 1715, spans: 1, series: 0 })).toEqual([
    { count: '1 715', noun: 'log records', to: '/logs', words: { q: '{business_service="unassigned"}' } },
    { count: '1', noun: 'span', to: '/traces', words: { q: '{ resource.omd.business_service = "unassigned" }' } },
  ]);
  expect(unclaimedParts({ logs: 0, spans: 0, series: 0 })).toEqual([]);
});

it('quotes a name in LogQL', () => {
  expect(ofBusinessService('Video "4K" \\ playback')).toBe('{business_service="Video \\"4K\\" \\\\ playback"}');
});
