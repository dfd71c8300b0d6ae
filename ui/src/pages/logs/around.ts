import type { Direction, LogRange, LogRow } from '../../api/loki';
import { quoted } from './selector';

/** Asks the server for the rows of a selector, as `queryLogs` does. */
export type AskRows = (query: string, range: LogRange, limit: number, direction: Direction) => Promise<LogRow[]>;

/** The rows of one stream around a row, oldest first. */
export interface Around {
  before: LogRow[];
  row: LogRow;
  after: LogRow[];
  /** True when the stream has no more rows on that side within the reach. */
  beginning: boolean;
  end: boolean;
}

export interface Wanted {
  before: number;
  after: number;
  /** How far to look to each side. */
  reachMs: number;
}

export const AROUND_ROWS = 50;
/** The most that Loki's API gives at once. */
export const AROUND_ROWS_MAX = 5000;

/** The selector of exactly this stream's labels. */
export function selectorOf(stream: Record<string, string>): string {
  const matchers = Object.entries(stream)
    .filter(([name]) => !name.startsWith('__'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${quoted(value)}`);
  return `{${matchers.length ? matchers.join(', ') : 'business_service="unassigned"'}}`;
}

/**
 * Two questions: what is before the row's instant, newest first, and what is from its instant on, oldest first. Rows that share
 * the instant are in the second answer, where the row itself says which of them stand before it.
 */
export async function linesAround(ask: AskRows, row: LogRow, wanted: Wanted): Promise<Around> {
  const selector = selectorOf(row.stream);
  const reach = BigInt(wanted.reachMs) * 1_000_000n;
  const at = BigInt(row.ns);
  const first = at > reach ? at - reach : 0n;
  const [back, on] = await Promise.all([
    ofStream(
      ask,
      selector,
      row,
      { startNs: first.toString(), endNs: row.ns },
      'backward',
      (rows) => rows.length >= wanted.before,
    ),
    ofStream(ask, selector, row, { startNs: row.ns, endNs: (at + reach).toString() }, 'forward', (rows) => {
      const own = indexOf(rows, row);
      return own >= 0 && rows.length > own + wanted.after;
    }),
  ]);
  const own = Math.max(0, indexOf(on.rows, row));
  const before = [...back.rows.reverse(), ...on.rows.slice(0, own)];
  const after = on.rows.slice(own + 1);
  return {
    before: wanted.before > 0 ? before.slice(-wanted.before) : [],
    row,
    after: after.slice(0, wanted.after),
    beginning: back.whole && before.length <= wanted.before,
    end: on.whole && after.length <= wanted.after,
  };
}

/**
 * The rows of the very stream of `row`: streams with further labels match its selector too, and are left out. More are asked
 * for until it is enough, until there are no more, or until the server gives no more at once.
 */
async function ofStream(
  ask: AskRows,
  selector: string,
  row: LogRow,
  range: LogRange,
  direction: Direction,
  enough: (rows: LogRow[]) => boolean,
): Promise<{ rows: LogRow[]; whole: boolean }> {
  const names = Object.keys(row.stream).length;
  for (let limit = AROUND_ROWS * 2; ; limit = Math.min(AROUND_ROWS_MAX, limit * 4)) {
    const found = await ask(selector, range, limit, direction);
    const rows = found.filter((each) => Object.keys(each.stream).length === names);
    const whole = found.length < limit;
    if (whole || limit === AROUND_ROWS_MAX || enough(rows)) return { rows, whole };
  }
}

/**
 * The place of the row among those that share its instant, which stand first. Where formatting changed its line, its metadata
 * tells; that is asked only once all rows of the instant are here.
 */
function indexOf(rows: LogRow[], row: LogRow): number {
  const same = (each: LogRow) => JSON.stringify(each.metadata) === JSON.stringify(row.metadata);
  const here = rows.filter((each) => each.ns === row.ns);
  const exact = here.findIndex((each) => each.line === row.line && same(each));
  if (exact >= 0 || here.length === rows.length) return exact;
  const line = here.findIndex((each) => each.line === row.line);
  return line >= 0 ? line : here.findIndex(same);
}
