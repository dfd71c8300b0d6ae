// A stand-in for `tyto serve`, for work on the pages only: it answers the calls the pages make with believable data,
// and serves `dist/` with the real server's content policy. `PORT=7070 npm run mock`; `COMPANY=200` makes the map that large.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as drafts from './drafts.mjs';
import { LABELS, lokiDetected, lokiRange, patternsOf, Refused, rowsOf, seconds } from './loki.mjs';
import { promApi } from './prometheus.mjs';
import { search, tags, trace } from './tempo.mjs';
import { drift, topology } from './topology.mjs';
import { COMPONENTS, errorRatio, random, slow, traffic } from './world.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

function overview(params) {
  const start = seconds(params.get('start'));
  const end = seconds(params.get('end'));
  const step = Math.max(15, Math.round((end - start) / 60 / 15) * 15);
  const names = [...new Set(COMPONENTS.map((each) => each.businessService))];
  return {
    business_services: names.map((name) => {
      const parts = COMPONENTS.filter((each) => each.businessService === name);
      const spark = { step_s: step, rate: [], error_ratio: [], p95_ms: [] };
      for (let at = Math.floor(start / step) * step; at < end; at += step) {
        const rate = parts.reduce((sum, each) => sum + each.rate, 0) * traffic(at) * (0.96 + random(name, at) * 0.08);
        const failed = parts.reduce((sum, each) => sum + each.rate * errorRatio(each, at), 0) * traffic(at);
        spark.rate.push(rate);
        spark.error_ratio.push(rate ? (failed / rate) * (0.7 + random(at, name) * 0.6) : 0);
        spark.p95_ms.push(
          Math.max(...parts.map((each) => (each.rate > 1 ? each.p95 * slow(each, at) : 0))) *
            (0.92 + random(name, at, 'p') * 0.16),
        );
      }
      const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
      return {
        name,
        services: [...new Set(parts.map((each) => each.service))],
        rate: mean(spark.rate),
        error_ratio: mean(spark.error_ratio),
        p95_ms: mean(spark.p95_ms),
        spark,
      };
    }),
    unassigned: { logs: 1284, spans: 0, series: 12 },
  };
}

function sql(text) {
  const column = (name, type) => ({ name, type });
  if (/from\s+logs/i.test(text)) {
    const rows = COMPONENTS.map((each) => [
      each.businessService,
      each.name,
      Math.round(each.rate * 412),
      each.name === 'marker-store' ? 318 : Math.round(each.errors * 4120),
    ]);
    return {
      columns: [
        column('business_service', 'Utf8'),
        column('service_name', 'Utf8'),
        column('rows', 'Int64'),
        column('errors', 'Int64'),
      ],
      rows: rows.sort((a, b) => b[2] - a[2]),
    };
  }
  if (/from\s+spans/i.test(text)) {
    return {
      columns: [column('service_name', 'Utf8'), column('spans', 'Int64'), column('p95_ms', 'Float64')],
      rows: COMPONENTS.map((each) => [each.name, Math.round(each.rate * 3600), each.p95 * 1.0137]),
    };
  }
  if (/from\s+(points|samples)/i.test(text)) {
    return {
      columns: [column('name', 'Utf8'), column('series', 'Int64')],
      rows: [
        ['http_server_request_duration_seconds_bucket', 420],
        ['process_memory_usage_bytes', 45],
      ],
    };
  }
  throw new Refused(
    400,
    JSON.stringify({
      error: {
        code: 'invalid',
        what: 'cannot plan the query: table not found; tables are logs, spans, samples and the view points',
      },
    }),
  );
}

async function answer(request, url, body) {
  const path = url.pathname;
  const params = request.method === 'POST' && path.startsWith('/api/v1') ? new URLSearchParams(body) : url.searchParams;
  if (path === '/api/tyto/v1/overview') return overview(params);
  if (path === '/api/tyto/v1/catalog/status') return { version: null, stale: false, store: 'sqlite', sources: [] };
  if (path === '/api/tyto/v1/pipelines') return drafts.pipelines();
  if (path === '/api/tyto/v1/pipelines/try') return drafts.tryPipeline(JSON.parse(body));
  if (path === '/api/tyto/v1/contracts') return drafts.contracts();
  if (path === '/api/tyto/v1/contracts/try') return drafts.tryContract(JSON.parse(body));
  if (path === '/api/tyto/v1/catalog/entries') return drafts.entries();
  if (path === '/api/tyto/v1/quarantine') return { records: 0, groups: [] };
  if (path === '/api/tyto/v1/sql') return sql(JSON.parse(body).sql);
  if (path === '/loki/api/v1/query_range') return lokiRange(params);
  if (path === '/loki/api/v1/labels') return { status: 'success', data: [...LABELS().keys()] };
  const detected = lokiDetected(path, params);
  if (detected) return detected;
  if (path === '/api/tyto/v1/patterns') return patternsOf(rowsOf(params, 2000));
  const values = /^\/loki\/api\/v1\/label\/(\w+)\/values$/.exec(path);
  if (values) return { status: 'success', data: [...(LABELS().get(values[1]) ?? [])].sort() };
  if (path === '/tempo/api/search') return search(params);
  const named = tags(path);
  if (named) return named;
  if (path === '/api/tyto/v1/topology') return topology(params);
  if (path === '/api/tyto/v1/topology/drift') return drift(params);
  const one = /^\/tempo\/api\/v2\/traces\/(\w+)$/.exec(path);
  if (one) return trace(one[1]);
  if (path.startsWith('/api/v1/'))
    return promApi(
      path.slice('/api/v1'.length),
      params,
      (status, error) => new Refused(status, JSON.stringify({ status: 'error', errorType: 'bad_data', error })),
    );
  return undefined;
}

async function page(path) {
  const file = normalize(join(DIST, path));
  const wanted = extname(path) && file.startsWith(DIST) ? file : join(DIST, 'index.html');
  return { type: TYPES[extname(wanted)] ?? 'application/octet-stream', bytes: await readFile(wanted) };
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  let body = '';
  for await (const chunk of request) body += chunk;
  try {
    const json = await answer(request, url, body);
    if (url.pathname === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('tyto_up 1\n');
    } else if (json !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    } else if (/^\/(api|loki|tempo|jaeger|-)\//.test(url.pathname)) {
      response
        .writeHead(404, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: 'no such endpoint in the mock' }));
    } else {
      const { type, bytes } = await page(url.pathname);
      response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(bytes);
    }
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    response.writeHead(error.status ?? 500, { 'content-type': 'text/plain' }).end(error.body ?? String(error));
  }
});
server.listen(Number(process.env.PORT ?? 7070), '127.0.0.1', () =>
  console.log(`mock http://127.0.0.1:${server.address().port}`),
);
