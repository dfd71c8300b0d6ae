/**
 * One record of RFC 4180: fields with a comma, quote or line break are quoted, quotes doubled, the line ends in CRLF. Text that a
 * spreadsheet would run as a formula gets an apostrophe in front, for what logs say may come from anybody; numbers are as they are.
 */
export function csvLine(fields: string[], numeric: boolean[] = []): string {
  const plain = (text: string, index: number) => (!numeric[index] && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const quote = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return `${fields.map((text, index) => quote(plain(text, index))).join(',')}\r\n`;
}
