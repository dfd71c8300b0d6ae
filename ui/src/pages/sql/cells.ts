export function isNumeric(type: string): boolean {
  return /^(u?int|float|decimal|double|bigint|real|number)/i.test(type);
}

export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

/** RFC 4180: fields with a comma, quote or line break are quoted, quotes doubled, lines end in CRLF. */
export function toCsv(columns: { name: string }[], rows: unknown[][]): string {
  const field = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [
    columns.map(({ name }) => field(name)),
    ...rows.map((row) => row.map((value) => field(cellText(value)))),
  ];
  return lines.map((line) => line.join(',')).join('\r\n') + '\r\n';
}
