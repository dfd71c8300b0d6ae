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

/**
 * RFC 4180: fields with a comma, quote or line break are quoted, quotes doubled, lines end in CRLF. Text that a spreadsheet
 * would run as a formula gets an apostrophe in front, for what logs say may come from anybody.
 */
export function toCsv(columns: { name: string; type: string }[], rows: unknown[][]): string {
  const field = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const plain = (text: string) => field(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const numeric = columns.map(({ type }) => isNumeric(type));
  const lines = [
    columns.map(({ name }) => plain(name)),
    ...rows.map((row) => row.map((value, index) => (numeric[index] ? field : plain)(cellText(value)))),
  ];
  return lines.map((line) => line.join(',')).join('\r\n') + '\r\n';
}
