import { csvLine } from '../../format/csv';
import { isoNs } from '../../format/time';

export function isNumeric(type: string): boolean {
  return /^(u?int|float|decimal|double|bigint|real|number)/i.test(type);
}

export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

/** What the pointer finds on a cell: an instant as a date, and text that may not fit. */
export function cellTitle(column: string, text: string): string | undefined {
  if (/_unix_nano$/.test(column) && /^\d{1,19}$/.test(text)) return isoNs(text);
  return text.length > 40 ? text : undefined;
}

/** Columns and rows as CSV. */
export function toCsv(columns: { name: string; type: string }[], rows: unknown[][]): string {
  const numeric = columns.map(({ type }) => isNumeric(type));
  return [csvLine(columns.map(({ name }) => name)), ...rows.map((row) => csvLine(row.map(cellText), numeric))].join('');
}
