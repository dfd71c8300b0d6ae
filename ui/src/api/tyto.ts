import { asArray, asNumber, asRecord, asText, getJson, notJson, postForText } from './client';
import { SqlReader, type SqlAnswer } from './sql';

export interface BusinessService {
  name: string;
  services: string[];
  /** Requests per second over the whole range. */
  rate: number;
  /** Not a number when there were no requests. */
  errorRatio: number;
  p95Ms: number;
  spark: { stepSeconds: number; rate: number[]; errorRatio: number[]; p95Ms: number[] };
}

export interface Overview {
  businessServices: BusinessService[];
  unassigned: { logs: number; spans: number; series: number };
}

export async function fetchOverview(start: number, end: number, signal: AbortSignal): Promise<Overview> {
  const path = '/api/tyto/v1/overview';
  const json = asRecord(await getJson(path, { start, end }, { signal }));
  const unassigned = asRecord(json.unassigned);
  return {
    businessServices: asArray(json.business_services, path, 'business_services').map(readService),
    unassigned: { logs: count(unassigned.logs), spans: count(unassigned.spans), series: count(unassigned.series) },
  };
}

function readService(entry: unknown): BusinessService {
  const fields = asRecord(entry);
  const spark = asRecord(fields.spark);
  return {
    name: asText(fields.name),
    services: list(fields.services).map(asText),
    rate: asNumber(fields.rate ?? 0),
    errorRatio: asNumber(fields.error_ratio),
    p95Ms: asNumber(fields.p95_ms),
    spark: {
      stepSeconds: asNumber(spark.step_s),
      rate: list(spark.rate).map(asNumber),
      errorRatio: list(spark.error_ratio).map(asNumber),
      p95Ms: list(spark.p95_ms).map(asNumber),
    },
  };
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function count(value: unknown): number {
  const number = asNumber(value ?? 0);
  return Number.isFinite(number) ? number : 0;
}

/** The most that the page takes of one answer; the rest is left with the server. */
const SQL_BYTES_MAX = 64 << 20;
const SQL_ROWS_MAX = 100_000;

export async function runSql(sql: string, signal: AbortSignal): Promise<SqlAnswer> {
  const path = '/api/tyto/v1/sql';
  const reader = new SqlReader(SQL_ROWS_MAX);
  let bytes = 0;
  try {
    await postForText(path, { sql }, { signal }, (text, more) => {
      bytes += more;
      return reader.push(text) && bytes < SQL_BYTES_MAX;
    });
    return reader.answer(bytes >= SQL_BYTES_MAX);
  } catch (error) {
    if (error instanceof SyntaxError) throw notJson(path);
    throw error;
  }
}
