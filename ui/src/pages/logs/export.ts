import type { Direction, LogRange, LogRow } from '../../api/loki';
import { csvLine } from '../../format/csv';
import { isoNs } from '../../format/time';
import type { AskRows } from './around';
import { fieldOf } from './columns';
import { levelOf } from './level';
import { parquetOf } from './parquet';

/** Rows of one question: the most that Loki's API gives at once. */
export const EXPORT_PAGE_ROWS = 5000;
export const EXPORT_ROWS_MAX = 100_000;
export const EXPORT_BYTES_MAX = 256 << 20;

export interface ExportEnd {
  /** True when there was more than the cap lets through. */
  capped: boolean;
  /** Instants that more rows share than the server gives at once: rows of these may be missing. */
  crowded: string[];
}

/**
 * All rows of a range in pages by time. Of a full page the rows of its last instant wait for the next one, which begins with
 * that instant: so none is lost and none comes twice where several share it.
 */
export async function* exportPages(
  ask: AskRows,
  query: string,
  range: LogRange,
  direction: Direction,
  rowsMax = EXPORT_ROWS_MAX,
  pageRows = EXPORT_PAGE_ROWS,
): AsyncGenerator<LogRow[], ExportEnd> {
  const crowded: string[] = [];
  let { startNs, endNs } = range;
  for (let left = rowsMax; ;) {
    if (BigInt(startNs) >= BigInt(endNs)) return { capped: false, crowded };
    const rows = await ask(query, { startNs, endNs }, pageRows, direction);
    const full = rows.length >= pageRows;
    const last = rows.at(-1)?.ns ?? '0';
    const sure = full
      ? rows.slice(
          0,
          rows.findIndex(({ ns }) => ns === last),
        )
      : rows;
    // A whole page of one instant: what it holds is given, and the next question goes on behind it.
    if (full && sure.length === 0) crowded.push(last);
    const given = full && sure.length === 0 ? rows : sure;
    const behind = full && sure.length === 0 ? 1n : 0n;
    if (given.length) yield given.slice(0, left);
    if (given.length > left || (given.length === left && full)) return { capped: true, crowded };
    if (!full) return { capped: false, crowded };
    left -= given.length;
    if (direction === 'backward') endNs = (BigInt(last) + 1n - behind).toString();
    else startNs = (BigInt(last) + behind).toString();
  }
}

export type Format = 'csv' | 'ndjson' | 'parquet';

/** The formats that are written line by line. */
export type LineFormat = Exclude<Format, 'parquet'>;

export function header(format: LineFormat, columns: string[]): string {
  return format === 'csv' ? csvLine(['time', 'timestamp_ns', 'level', ...columns, 'line', 'fields']) : '';
}

/** One row of the file. CSV has the chosen columns and, as JSON, all fields; NDJSON has everything as it came. */
export function printRow(row: LogRow, format: LineFormat, columns: string[]): string {
  if (format === 'csv') {
    const fields = JSON.stringify({ ...row.parsed, ...row.metadata, ...row.stream });
    const chosen = columns.map((name) => fieldOf(row, name));
    return csvLine([isoNs(row.ns), row.ns, levelOf(row), ...chosen, row.line, fields]);
  }
  const { ns, line, stream, metadata, parsed } = row;
  return `${JSON.stringify({ time: isoNs(ns), timestamp_ns: ns, level: levelOf(row), line, stream, metadata, parsed })}\n`;
}

/** A file that grows by pages of rows. */
interface ExportFile {
  /** Gives about how many bytes the rows take. */
  add(rows: LogRow[]): number;
  parts(): Promise<BlobPart[]>;
}

export class LinesFile implements ExportFile {
  private readonly texts: string[];

  constructor(
    private readonly format: LineFormat,
    private readonly columns: string[],
  ) {
    this.texts = [header(format, columns)];
  }

  add(rows: LogRow[]): number {
    const text = rows.map((row) => printRow(row, this.format, this.columns)).join('');
    this.texts.push(text);
    return text.length;
  }

  async parts(): Promise<BlobPart[]> {
    return Promise.resolve(this.texts);
  }
}

export class ParquetFile implements ExportFile {
  private readonly rows: LogRow[] = [];

  constructor(private readonly columns: string[]) {}

  add(rows: LogRow[]): number {
    this.rows.push(...rows);
    const texts = ({ stream, metadata, parsed }: LogRow) =>
      [stream, metadata, parsed].flatMap((fields) => Object.entries(fields).flat());
    const bytes = (row: LogRow) => texts(row).reduce((sum, text) => sum + text.length, row.line.length);
    return rows.reduce((sum, row) => sum + bytes(row), 0);
  }

  async parts(): Promise<BlobPart[]> {
    return [await parquetOf(this.rows, this.columns)];
  }
}
