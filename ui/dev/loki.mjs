// The mock's logs: enough of LogQL for what the pages ask.
import { COMPONENTS, logsOf, random } from './world.mjs';

/** A refusal with its status and body, which the mock's server passes on. */
export class Refused extends Error {
  constructor(status, body) {
    super('refused');
    this.status = status;
    this.body = body;
  }
}

export const seconds = (text, fallback) =>
  text ? (text.length > 15 ? Number(BigInt(text) / 1_000_000n) / 1000 : Number(text)) : fallback;

function selection(query) {
  const braces = /\{([^}]*)\}/.exec(query);
  if (
    !braces ||
    !/^[\s\w(]*/.test(query) ||
    (query.match(/[({]/g) ?? []).length !== (query.match(/[)}]/g) ?? []).length
  ) {
    throw new Refused(400, `parse error at line 1, col ${query.length + 1}: syntax error: unexpected $end`);
  }
  const tests = [...braces[1].matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, name, op, value]) =>
    matcher(name, op, value),
  );
  const after = query.slice(braces.index + braces[0].length).replace(/\[[^\]]*\].*$/s, '');
  const lines = [...after.matchAll(/\|(=|~)\s*["`]([^"`]*)["`]|!=\s*["`]([^"`]*)["`]/g)].map(
    ([, op, want, refuse]) =>
      (row) =>
        op === '~' ? new RegExp(want).test(row.line) : op ? row.line.includes(want) : !row.line.includes(refuse),
  );
  const fields = [...after.matchAll(/\|\s*(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, name, op, value]) =>
    matcher(name, op, value),
  );
  return (row) =>
    [...tests, ...fields].every((test) => test({ ...row.stream, ...row.metadata })) && lines.every((test) => test(row));
}

function matcher(name, op, value) {
  const insensitive = value.startsWith('(?i)');
  const pattern = op.includes('~')
    ? new RegExp(`^(?:${value.replace('(?i)', '')})$`, insensitive ? 'i' : '')
    : undefined;
  return (labels) => (pattern ? pattern.test(labels[name] ?? '') : (labels[name] ?? '') === value) === (op[0] === '=');
}

/** The rows of a query between its times, at most so many: the newest, or the oldest where they are asked for forward. */
export function rowsOf(params, limit) {
  const keep = selection(params.get('query') ?? '');
  const now = Date.now() / 1000;
  const start = Math.floor(seconds(params.get('start'), now - 3600));
  const end = Math.floor(Math.min(now, seconds(params.get('end'), now)));
  const startNs = params.get('start') ?? '0';
  const endNs = params.get('end') ?? '9'.repeat(19);
  const forward = params.get('direction') === 'forward';
  const rows = [];
  for (let at = forward ? start : end; at >= start && at <= end && rows.length < limit; at += forward ? 1 : -1) {
    const found = COMPONENTS.flatMap((component) => logsOf(component, at)).filter(
      (row) => row.ns >= startNs && row.ns < endNs && keep(row),
    );
    rows.push(...found.sort((a, b) => (a.ns < b.ns === forward ? -1 : 1)));
  }
  return rows.slice(0, limit);
}

export function lokiRange(params) {
  const query = params.get('query') ?? '';
  const now = Date.now() / 1000;
  const start = seconds(params.get('start'), now - 3600);
  const end = Math.min(now, seconds(params.get('end'), now));
  if (/_over_time|rate\s*\(/.test(query))
    return lokiMatrix(query, selection(query), start, end, Number(params.get('step') ?? 60));
  const rows = rowsOf(params, Number(params.get('limit') ?? 100));
  const streams = new Map();
  for (const row of rows) {
    const key = JSON.stringify(row.stream);
    if (!streams.has(key)) streams.set(key, { stream: row.stream, values: [] });
    streams.get(key).values.push([row.ns, row.line, { structuredMetadata: row.metadata }]);
  }
  return {
    status: 'success',
    data: { resultType: 'streams', encodingFlags: ['categorize-labels'], result: [...streams.values()], stats: {} },
  };
}

function lokiMatrix(query, keep, start, end, step) {
  const by = (/by\s*\(([^)]*)\)/.exec(query)?.[1] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  const stride = Math.max(1, Math.round((end - start) / 20000));
  const groups = new Map();
  for (let at = Math.ceil(start / step) * step; at <= end; at += step) {
    for (let second = at - step; second < at; second += stride) {
      for (const row of COMPONENTS.flatMap((component) => logsOf(component, second))) {
        if (!keep(row)) continue;
        const all = { ...row.stream, ...row.metadata };
        const labels = Object.fromEntries(by.filter((name) => all[name]).map((name) => [name, all[name]]));
        const key = JSON.stringify(labels);
        if (!groups.has(key)) groups.set(key, { metric: labels, counts: new Map() });
        const { counts } = groups.get(key);
        counts.set(at, (counts.get(at) ?? 0) + stride);
      }
    }
  }
  const result = [...groups.values()].map(({ metric, counts }) => ({
    metric,
    values: [...counts].map(([at, count]) => [at, String(count)]),
  }));
  return { status: 'success', data: { resultType: 'matrix', result, stats: {} } };
}

/** What is found in the newest rows: labels, fields, values of one field, and counts at one instant. */
export function lokiDetected(path, params) {
  if (path === '/loki/api/v1/query') {
    const query = params.get('query') ?? '';
    const end = seconds(params.get('time'), Date.now() / 1000);
    const span = Number(/\[(\d+)s\]/.exec(query)?.[1] ?? 3600);
    const { data } = lokiMatrix(query, selection(query), end - span, end, span);
    const result = data.result.map(({ metric, values }) => ({ metric, value: values.at(-1) }));
    return { status: 'success', data: { resultType: 'vector', result } };
  }
  const one = /^\/loki\/api\/v1\/detected_field\/(\w+)\/values$/.exec(path)?.[1];
  if (!one && !/^\/loki\/api\/v1\/detected_(labels|fields)$/.test(path)) return undefined;
  const rows = rowsOf(params, 1000);
  const part = path.endsWith('labels') ? 'stream' : 'metadata';
  const found = new Map();
  for (const row of rows)
    for (const [label, value] of Object.entries(row[part]))
      found.set(label, (found.get(label) ?? new Set()).add(value));
  const tyto = { lines: rows.length, sampled: rows.length === 1000, cut: false };
  if (one) return { values: [...(found.get(one) ?? [])], limit: 1000, tyto };
  const list = [...found].map(([label, set]) => ({ label, cardinality: set.size, parsers: null }));
  return part === 'stream' ? { detectedLabels: list } : { fields: list, limit: 1000, tyto };
}

/** Lines whose numbers are left out are one pattern; what changed is by chance. */
export function patternsOf(rows) {
  const groups = new Map();
  for (const row of rows) {
    const pattern = row.line.replace(/\d+/g, '<_>');
    groups.set(pattern, [...(groups.get(pattern) ?? []), row]);
  }
  const patterns = [...groups].map(([pattern, all]) => {
    const before =
      random(pattern, 'before') < 0.2 ? 0 : Math.round(all.length * (0.4 + random(pattern, 'ratio') * 1.2));
    const levels = {};
    for (const { metadata } of all) levels[metadata.severity_text] = (levels[metadata.severity_text] ?? 0) + 1;
    const first = Number(all.at(-1).ns) / 1e9;
    const step = Math.max(1, (Number(all[0].ns) / 1e9 - first) / 30);
    const samples = Array.from({ length: 31 }, (_, at) => [Math.round(first + at * step), 0]);
    for (const { ns } of all) samples[Math.min(30, Math.floor((Number(ns) / 1e9 - first) / step))][1]++;
    return {
      id: pattern,
      pattern,
      example: all[0].line,
      services: [...new Set(all.map(({ stream }) => stream.component))],
      levels,
      count: all.length,
      count_before: before,
      change: before === 0 ? 'new' : before < all.length / 2 ? 'grew' : before > all.length * 1.5 ? 'fell' : 'steady',
      first_seen_unix_nano: all.at(-1).ns,
      last_seen_unix_nano: all[0].ns,
      samples,
    };
  });
  return { patterns, sampled: rows.length === 2000, lines: rows.length, lines_before: rows.length };
}

export const LABELS = () => {
  const found = new Map();
  for (const component of COMPONENTS) {
    for (let at = 1; at < 40; at++) {
      for (const row of logsOf(component, at))
        for (const [name, value] of Object.entries(row.stream))
          found.set(name, (found.get(name) ?? new Set()).add(value));
    }
  }
  return found;
};
