import type { LogRow } from '../../api/loki';
import { serviceOf } from './line';

/** The column that shows without being asked for: who wrote the row, whatever its sender calls that. */
export const SOURCE = 'source';
export const COLUMNS_MAX = 8;

/** The address holds the columns as `component,trace_id`; `none` for none, and nothing for the usual one. */
export function columnsOf(word: string | undefined): string[] {
  if (word === undefined || word === '') return [SOURCE];
  return word === 'none' ? [] : word.split(',').filter(Boolean).slice(0, COLUMNS_MAX);
}

export function columnsWord(columns: string[]): string | undefined {
  if (columns.length === 1 && columns[0] === SOURCE) return undefined;
  return columns.length ? columns.join(',') : 'none';
}

export function toggleColumn(columns: string[], name: string): string[] {
  return columns.includes(name) ? columns.filter((each) => each !== name) : [...columns, name].slice(-COLUMNS_MAX);
}

/** What a row has in a column; stream labels before structured metadata before what the query parsed, as LogQL looks. */
export function fieldOf(row: LogRow, name: string): string {
  if (name === SOURCE) return serviceOf(row);
  return row.stream[name] ?? row.metadata[name] ?? row.parsed[name] ?? '';
}
