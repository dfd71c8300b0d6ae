import { Button } from '@mantine/core';
import { IconListDetails } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { compareNs, queryLogs, type LogRow } from '../../api/loki';
import type { Span } from '../../api/otlp';
import { timeWords, useAddress } from '../../app/address';
import { clock, nsToMs } from '../../format/time';
import { Answer } from '../../status/Answer';
import { LEVEL_COLORS, levelOf } from '../logs/level';
import { messageOf } from '../logs/line';
import { ALL_LOGS } from '../logs/selector';
import { rowWord } from '../logs/share';
import classes from './SpanDetail.module.css';
import { logsAround, type TraceTree } from './tree';

const ROWS_MAX = 200;
const SHOWN_MAX = 12;

/** What was logged while the span ran. All rows of the trace are asked for once; each span picks its own of them. */
export function SpanLogs({ span, tree }: { span: Span; tree: TraceTree }) {
  const [address] = useAddress();
  const around = logsAround(tree, timeWords(address));
  const ofTrace = `${ALL_LOGS} | trace_id="${span.traceId}"`;
  const ofSpan = `${ofTrace} | span_id="${span.spanId}"`;
  const range = { startNs: `${around.from}000000`, endNs: `${around.to}000000` };
  const rows = useQuery({
    queryKey: ['span-logs', ofSpan, around.from, around.to],
    queryFn: ({ signal }) => queryLogs(ofSpan, range, ROWS_MAX, signal, 'forward'),
    staleTime: 60_000,
  });
  const others = useQuery({
    queryKey: ['span-logs', ofTrace, around.from, around.to],
    queryFn: ({ signal }) => queryLogs(ofTrace, range, ROWS_MAX, signal, 'forward'),
    staleTime: 60_000,
    enabled: rows.data?.length === 0,
  });
  return (
    <section data-testid="span-logs">
      <h3>
        Logs
        <Button
          size="compact-xs"
          variant="light"
          leftSection={<IconListDetails size={13} />}
          renderRoot={(props: object) => <Link {...props} to="/logs" search={{ ...around, q: ofSpan }} />}
        >
          Logs of this span
        </Button>
      </h3>
      <Answer query={rows} compact loading={<p className="dim">Asking for its logs …</p>}>
        {(found) =>
          found.length > 0 ? (
            <Rows rows={found} around={around} q={ofSpan} />
          ) : others.data?.length ? (
            <>
              <p className="dim">This span logged nothing. Other spans of its trace did:</p>
              <Rows rows={others.data} around={around} q={ofTrace} />
            </>
          ) : (
            <p className="dim">
              {others.isFetching ? 'This span logged nothing.' : 'Neither this span nor its trace logged anything.'}
            </p>
          )
        }
      </Answer>
    </section>
  );
}

interface RowsProps {
  rows: LogRow[];
  around: { from: string; to: string };
  q: string;
}

function Rows({ rows, around, q }: RowsProps) {
  // The gravest are never behind "more".
  const shown = [...rows]
    .sort((a, b) => Number(isGrave(b)) - Number(isGrave(a)))
    .slice(0, SHOWN_MAX)
    .sort((a, b) => compareNs(a.ns, b.ns));
  return (
    <ul className={classes.logs}>
      {shown.map((row, index) => {
        const level = levelOf(row);
        return (
          <li key={index} data-level={level}>
            <i style={{ background: `var(${LEVEL_COLORS[level]})` }} />
            <Link
              to="/logs"
              search={{ ...around, q, order: 'old', line: rowWord(row) }}
              title="Open this row on the Logs page"
            >
              <time>{clock(nsToMs(row.ns))}</time> {level !== 'unknown' && <b data-level={level}>{level}</b>}{' '}
              {messageOf(row.line).text}
            </Link>
          </li>
        );
      })}
      {rows.length > shown.length && (
        <li className="dim">
          and {rows.length - shown.length}
          {rows.length >= ROWS_MAX ? ' or more' : ' more'}
        </li>
      )}
    </ul>
  );
}

function isGrave(row: LogRow): boolean {
  return ['fatal', 'error', 'warn'].includes(levelOf(row));
}
