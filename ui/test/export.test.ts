import { parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import type { LogRow } from '../src/api/loki';
import { LinesFile, ParquetFile } from '../src/pages/logs/export';

const rows: LogRow[] = [
  {
    ns: '1760000000123456789',
    line: 'Größe "12"\nnext',
    stream: { service_name: 'a', detected_level: 'error' },
    metadata: { trace_id: 'ab' },
    parsed: { time: 'mine' },
  },
  { ns: '1', line: '', stream: { service_name: 'b' }, metadata: {}, parsed: {} },
];

test('a Parquet file has the instant, the level, the chosen columns, the line and all fields', async () => {
  const file = new ParquetFile(['trace_id', 'time', 'absent']);
  expect(file.add(rows.slice(0, 1))).toBeGreaterThan(30);
  file.add(rows.slice(1));
  const [bytes] = await file.parts();
  const read = await parquetReadObjects({
    file: bytes as ArrayBuffer,
    parsers: { timestampFromNanoseconds: String } as never,
  });
  expect(read.map(({ fields, ...others }) => ({ ...others, fields: JSON.parse(fields as string) as unknown }))).toEqual(
    [
      {
        time: rows[0]?.ns,
        level: 'error',
        trace_id: 'ab',
        absent: '',
        line: rows[0]?.line,
        fields: { service_name: 'a', detected_level: 'error', trace_id: 'ab', time: 'mine' },
      },
      {
        time: '1',
        level: expect.any(String) as string,
        trace_id: '',
        absent: '',
        line: '',
        fields: { service_name: 'b' },
      },
    ],
  );
});

test('a file of lines begins with its header and grows by pages', async () => {
  const file = new LinesFile('csv', []);
  file.add(rows.slice(0, 1));
  file.add(rows.slice(1));
  const parts = await file.parts();
  expect(parts).toHaveLength(3);
  expect(parts[0]).toMatch(/^time,/);
});
