import { Button, Modal, SegmentedControl } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { queryLogs, type Direction } from '../../api/loki';
import { download, stamped } from '../../format/download';
import { formatBytes, formatCount } from '../../format/units';
import { Problem } from '../../status/Problem';
import { rangePhrase, toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { SOURCE } from './columns';
import { EXPORT_BYTES_MAX, EXPORT_ROWS_MAX, exportPages, LinesFile, ParquetFile, type Format } from './export';
import classes from './Tools.module.css';

interface Props {
  logql: string;
  direction: Direction;
  columns: string[];
  disabled: boolean;
}

/** All rows of the search as a file, not only those that show. */
export function ExportDialog(props: Props) {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button
        size="compact-sm"
        variant="subtle"
        leftSection={<IconDownload size={14} />}
        disabled={props.disabled}
        onClick={() => setOpened(true)}
      >
        Export
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="Export all rows of this search"
        size={520}
        centered
      >
        <Exporting {...props} />
      </Modal>
    </>
  );
}

const FORMATS: Record<Format, { label: string; type: string; words: string }> = {
  csv: {
    label: 'CSV',
    type: 'text/csv',
    words: 'For spreadsheets: time, level, the columns that you chose, the line, and all fields as JSON.',
  },
  ndjson: {
    label: 'NDJSON',
    type: 'application/x-ndjson',
    words: 'One JSON object for each row, with everything as it came.',
  },
  parquet: {
    label: 'Parquet',
    type: 'application/vnd.apache.parquet',
    words:
      'For DuckDB, Spark and pandas: time to the nanosecond, level, the columns that you chose, the line, and all fields as JSON.',
  },
};

type State =
  | { is: 'idle' }
  | { is: 'running'; rows: number; bytes: number }
  | { is: 'done'; rows: number; bytes: number; capped: boolean; crowded: number }
  | { is: 'failed'; error: unknown };

function Exporting({ logql, direction, columns }: Props) {
  const time = useTime();
  const [format, setFormat] = useState<Format>('csv');
  const [state, setState] = useState<State>({ is: 'idle' });
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);

  const run = async () => {
    const control = new AbortController();
    abort.current = control;
    const range = { startNs: toNs(time.range.startMs), endNs: toNs(time.range.endMs) };
    const ask: Parameters<typeof exportPages>[0] = (query, within, limit, way) =>
      queryLogs(query, within, limit, control.signal, way);
    try {
      const named = columns.filter((name) => name !== SOURCE);
      const file = format === 'parquet' ? new ParquetFile(named) : new LinesFile(format, named);
      let rows = 0;
      let bytes = 0;
      let tooLarge = false;
      setState({ is: 'running', rows, bytes });
      const pages = exportPages(ask, logql, range, direction);
      let next = await pages.next();
      while (!next.done && !tooLarge) {
        bytes += file.add(next.value);
        rows += next.value.length;
        tooLarge = bytes >= EXPORT_BYTES_MAX;
        setState({ is: 'running', rows, bytes });
        if (!tooLarge) next = await pages.next();
      }
      const end = next.done ? next.value : { capped: true, crowded: [] };
      download(stamped(format), FORMATS[format].type, await file.parts());
      setState({ is: 'done', rows, bytes, capped: end.capped, crowded: end.crowded.length });
    } catch (error) {
      setState(control.signal.aborted ? { is: 'idle' } : { is: 'failed', error });
    }
  };

  const running = state.is === 'running';
  return (
    <div className={classes.export}>
      <p className="dim">
        <code>{logql}</code> in {rangePhrase(time.text, time.nowMs)}. At most {formatCount(EXPORT_ROWS_MAX)} rows or{' '}
        {formatBytes(EXPORT_BYTES_MAX)}, the {direction === 'backward' ? 'newest' : 'oldest'} first.
      </p>
      <SegmentedControl
        value={format}
        onChange={(next) => setFormat(next as Format)}
        disabled={running}
        data={Object.entries(FORMATS).map(([value, { label }]) => ({ value, label }))}
        aria-label="Format"
      />
      <p className="dim">{FORMATS[format].words}</p>
      <p data-testid="export-state" role="status">
        {stateText(state)}
      </p>
      {state.is === 'failed' && <Problem error={state.error} compact />}
      <div className={classes.line}>
        <Button leftSection={<IconDownload size={14} />} loading={running} onClick={() => void run()}>
          Export as {FORMATS[format].label}
        </Button>
        {running && (
          <Button variant="default" onClick={() => abort.current?.abort()}>
            Stop
          </Button>
        )}
      </div>
    </div>
  );
}

function stateText(state: State): string {
  if (state.is !== 'running' && state.is !== 'done') return '';
  const size = `${formatCount(state.rows)} rows, ${formatBytes(state.bytes)}`;
  if (state.is === 'running') return `${size} so far`;
  const cut = state.capped
    ? ' There are more: the file ends at the cap. Narrow the search or the time for the rest.'
    : '';
  const crowded = state.crowded
    ? ` At ${formatCount(state.crowded)} instants more rows came than the server gives at once: some of them are missing.`
    : '';
  return `${size} are in the file.${cut}${crowded}`;
}
