import type { LogRow } from '../../api/loki';
import { fieldOf } from './columns';
import { levelOf } from './level';

/** Of the columns that every file has; chosen ones of the same name stand in `fields` only. */
const OWN = new Set(['time', 'level', 'line', 'fields']);

/**
 * Rows as a Parquet file: the instant to the nanosecond, the level, the chosen columns as texts, the line, and all fields as JSON.
 * What writes it is fetched with the first export.
 */
export async function parquetOf(rows: LogRow[], columns: string[]): Promise<ArrayBuffer> {
  const { parquetWriteBuffer } = await import('hyparquet-writer');
  const chosen = columns.filter((name) => !OWN.has(name));
  const text = (name: string) =>
    ({ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }) as const;
  const texts = (name: string, of: (row: LogRow) => string) => ({ name, data: rows.map(of) });
  const fields = ({ parsed, metadata, stream }: LogRow) => JSON.stringify({ ...parsed, ...metadata, ...stream });
  return parquetWriteBuffer({
    createdBy: 'tyto',
    columnData: [
      { name: 'time', data: rows.map(({ ns }) => BigInt(ns)) },
      texts('level', levelOf),
      ...chosen.map((name) => texts(name, (row) => fieldOf(row, name))),
      texts('line', ({ line }) => line),
      texts('fields', fields),
    ],
    schema: [
      { name: 'root', num_children: 4 + chosen.length },
      {
        name: 'time',
        type: 'INT64',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'NANOS' },
        repetition_type: 'REQUIRED',
      },
      text('level'),
      ...chosen.map(text),
      text('line'),
      text('fields'),
    ],
  });
}
