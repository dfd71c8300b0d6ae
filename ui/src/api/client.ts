/** A request that failed, with the server's own words: what a page shows where the answer would have been. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly what: string,
    readonly path: string,
    /** True when the server ended a query that ran too long. It answers so with the status of a server that is too busy. */
    readonly timedOut = false,
  ) {
    super(what);
    this.name = 'ApiError';
  }

  /** One short phrase for the heading; `what` holds the details. */
  get title(): string {
    if (this.timedOut || this.status === 504) return 'The query took too long';
    if (this.status === 0) return 'Tyto cannot be reached';
    if (this.status === 400 || this.status === 422) return 'The query was refused';
    if (this.status === 401 || this.status === 403) return 'You may not see this';
    if (this.status === 404) return 'Not found';
    if (this.status === 429 || this.status === 503) return 'The server is too busy';
    if (this.status === 501) return 'Tyto cannot do this yet';
    return 'The request failed';
  }
}

export type Params = Record<string, string | number | undefined>;

export function withParams(path: string, params: Params): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && value !== '') search.set(name, String(value));
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** The sentence inside an error body, whichever API's form it has. */
export function errorText(body: string): string | undefined {
  const text = body.trim();
  if (!text) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'string') return json;
    const fields = asRecord(json);
    for (const name of ['error', 'what', 'message', 'detail']) {
      const value = fields[name];
      if (typeof value === 'string' && value) return value;
      if (value && typeof value === 'object') {
        const inner = asRecord(value);
        for (const innerName of ['what', 'message', 'detail']) {
          const innerValue = inner[innerName];
          if (typeof innerValue === 'string' && innerValue) return innerValue;
        }
      }
    }
    return text;
  } catch {
    return text.startsWith('<') ? undefined : text;
  }
}

/** Prometheus's API says `"errorType":"timeout"`; the other APIs have only the sentence. */
function failure(status: number, body: string, path: string): ApiError {
  const what = errorText(body) ?? `The server answered ${status} without a message.`;
  const timedOut = /"errorType"\s*:\s*"timeout"/.test(body) || (status === 503 && /\btimeout\b/.test(what));
  return new ApiError(status, what, path, timedOut);
}

export async function getJson(path: string, params: Params = {}, init: RequestInit = {}): Promise<unknown> {
  const asked = withParams(path, params);
  const response = await open(asked, init);
  const body = await arriving(asked, init, () => response.text());
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw notJson(asked);
  }
  // Prometheus and Loki may put a failure into a body that says so while the status says 200.
  if (asRecord(json).status === 'error') throw failure(response.status, body, asked);
  return json;
}

export async function postJson(path: string, body: unknown, init: RequestInit = {}): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await open(path, { ...init, method: 'POST', body: JSON.stringify(body), headers });
  const text = await arriving(path, init, () => response.text());
  try {
    return JSON.parse(text);
  } catch {
    throw notJson(path);
  }
}

/** Hands the answer's text on as it arrives, until `take` returns false: the rest is then never asked for. */
export async function postForText(
  path: string,
  body: unknown,
  init: RequestInit,
  take: (text: string, bytes: number) => boolean,
): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await open(path, { ...init, method: 'POST', body: JSON.stringify(body), headers });
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  while (reader) {
    const { done, value } = await arriving(path, init, () => reader.read());
    if (done) return;
    if (!take(decoder.decode(value, { stream: true }), value.length)) return void reader.cancel().catch(() => {});
  }
}

async function open(path: string, init: RequestInit): Promise<Response> {
  const response = await arriving(path, init, () =>
    fetch(path, { ...init, headers: { accept: 'application/json', ...init.headers } }),
  );
  if (response.ok) return response;
  throw failure(response.status, await arriving(path, init, () => response.text()), path);
}

async function arriving<T>(path: string, { signal }: RequestInit, wait: () => Promise<T>): Promise<T> {
  try {
    return await wait();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'The browser got no whole answer. Is the server running, and the network up?', path);
  }
}

export function notJson(path: string): ApiError {
  return new ApiError(200, 'The server answered with something that is not JSON.', path);
}

/**
 * JSON in which integers of 16 digits and more are strings: a JavaScript number has 53 bits and would change their last digits.
 */
export function quoteLongIntegers(json: string): string {
  return json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.eE+-])-?\d{16,}(?=\s*[,\]}])/g, (found) =>
    found.startsWith('"') ? found : `"${found}"`,
  );
}

/** For answers whose form is wrong: an unreadable answer must never look like an empty one. */
export function unreadable(path: string, expected: string): ApiError {
  return new ApiError(200, `The server's answer has no ${expected}.`, path);
}

export function asRecord(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
}

export function asArray(value: unknown, path: string, expected: string): unknown[] {
  if (!Array.isArray(value)) throw unreadable(path, expected);
  return value;
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined || value === null ? '' : String(value);
}

/** A JSON number, or one of the strings that stand for what JSON cannot say. */
export function asNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === '+Inf' || value === 'Inf') return Infinity;
  if (value === '-Inf') return -Infinity;
  return typeof value === 'string' && value !== '' ? Number(value) : NaN;
}

export function asLabels(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asRecord(value)).map(([name, text]) => [name, asText(text)]));
}
