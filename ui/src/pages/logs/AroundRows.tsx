import { Button } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffectEvent, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { queryLogs, rowKey, type LogRow } from '../../api/loki';
import { formatCount, formatDuration } from '../../format/units';
import { Problem } from '../../status/Problem';
import { AROUND_ROWS, linesAround, selectorOf, type Wanted } from './around';
import { Row, type Look } from './Row';
import classes from './Row.module.css';

const HOUR_MS = 3600e3;
const REACHES_MS = [6 * HOUR_MS, 7 * 24 * HOUR_MS];
/** More than this on a side is a search of its own. */
const SIDE_ROWS_MAX = 1000;

interface Props {
  row: LogRow;
  look: Look;
  newestFirst: boolean;
  /** The row itself with its detail. */
  children: ReactNode;
  /** Tells the list that the row moved within its item, so that it stays where it is on the screen. */
  onShift: (px: number) => void;
  onSearch: (search: string) => void;
  onClose: () => void;
}

/** What the same stream said before and after a row, in the order of the list that it stands in. */
export function AroundRows({ row, look, newestFirst, children, onShift, onSearch, onClose }: Props) {
  const [wanted, setWanted] = useState<Wanted>({
    before: AROUND_ROWS,
    after: AROUND_ROWS,
    reachMs: REACHES_MS[0] ?? HOUR_MS,
  });
  const answer = useQuery({
    queryKey: ['logs-around', rowKey(row), wanted],
    queryFn: ({ signal }) =>
      linesAround((query, range, limit, direction) => queryLogs(query, range, limit, signal, direction), row, wanted),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  });
  const shown = useMemo<Look>(() => ({ ...look, view: 'rows' }), [look]);
  const middle = useRef<HTMLDivElement>(null);
  const shift = useEffectEvent(onShift);
  const before = answer.data?.before;
  const after = answer.data?.after;
  // The row keeps its place on the screen while rows appear above it.
  const offset = useRef(0);
  useLayoutEffect(() => {
    const top = middle.current?.offsetTop ?? 0;
    if (top !== offset.current) shift(top - offset.current);
    offset.current = top;
  }, [before, after]);

  const side = (which: 'before' | 'after') => {
    const rows = (which === 'before' ? before : after) ?? [];
    const whole = which === 'before' ? answer.data?.beginning : answer.data?.end;
    const above = (which === 'before') !== newestFirst;
    const ordered = newestFirst ? [...rows].reverse() : rows;
    const bar = (
      <SideBar
        which={which}
        count={rows.length}
        whole={whole}
        loading={answer.isFetching}
        wanted={wanted}
        onWanted={setWanted}
      />
    );
    return (
      <div data-testid={`around-${which}`}>
        {above && bar}
        {ordered.map((each, at) => (
          <Row key={`${each.ns} ${at}`} row={each} look={shown} />
        ))}
        {!above && bar}
      </div>
    );
  };
  return (
    <div className={classes.around} data-testid="around">
      <div className={classes.aroundBar}>
        <b>Lines around, in the same stream</b>
        <Button size="compact-xs" variant="default" onClick={() => onSearch(selectorOf(row.stream))}>
          Search this stream
        </Button>
        <Button size="compact-xs" variant="subtle" onClick={onClose}>
          Close
        </Button>
      </div>
      {answer.isError && <Problem error={answer.error} onRetry={() => void answer.refetch()} compact />}
      {side(newestFirst ? 'after' : 'before')}
      <div ref={middle}>{children}</div>
      {side(newestFirst ? 'before' : 'after')}
    </div>
  );
}

interface BarProps {
  which: 'before' | 'after';
  count: number;
  whole: boolean | undefined;
  loading: boolean;
  wanted: Wanted;
  onWanted: (wanted: Wanted) => void;
}

function SideBar({ which, count, whole, loading, wanted, onWanted }: BarProps) {
  const further = REACHES_MS.find((ms) => ms > wanted.reachMs);
  const full = count >= SIDE_ROWS_MAX;
  if (whole === undefined) return <div className={classes.aroundBar}>Looking {which} …</div>;
  const words = `${formatCount(count)} ${count === 1 ? 'line' : 'lines'} ${which}`;
  return (
    <div className={classes.aroundBar}>
      <span>
        {words}
        {whole && `; no more within ${formatDuration(wanted.reachMs)}`}
        {full && '; for more, search this stream'}
      </span>
      {!whole && !full && (
        <Button
          size="compact-xs"
          variant="default"
          loading={loading}
          onClick={() => onWanted({ ...wanted, [which]: wanted[which] + AROUND_ROWS * (wanted[which] < 200 ? 1 : 4) })}
        >
          More {which}
        </Button>
      )}
      {whole && further !== undefined && (
        <Button
          size="compact-xs"
          variant="default"
          loading={loading}
          onClick={() => onWanted({ ...wanted, reachMs: further })}
        >
          Look {formatDuration(further)} far
        </Button>
      )}
    </div>
  );
}
