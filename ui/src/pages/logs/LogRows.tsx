import { ActionIcon } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useMediaQuery } from '@mantine/hooks';
import { useCallback, useMemo, useRef, type CSSProperties, type ReactNode } from 'react';
import type { LogRow } from '../../api/loki';
import { usePageKeys } from '../../app/useKeys';
import { day, nsToMs } from '../../format/time';
import { VirtualList, type ListHandle } from '../../list/VirtualList';
import { AroundRows } from './AroundRows';
import { SOURCE } from './columns';
import { searchedTexts } from './edit';
import { LogDetail } from './LogDetail';
import { Row, type Look } from './Row';
import classes from './Row.module.css';

/** The row that is open, and whether the rows around it show. */
export interface Opened {
  row: LogRow;
  around: boolean;
}

interface Props {
  rows: LogRow[];
  search: string;
  logql: string;
  view: 'rows' | 'json';
  wrap: boolean;
  newestFirst: boolean;
  columns: string[];
  opened: Opened | undefined;
  onOpened: (opened: Opened | undefined) => void;
  onSearch: (search: string) => void;
  onColumns: (columns: string[]) => void;
  /** The end at which live rows appear. */
  grows?: 'top' | 'bottom';
  onAway?: (away: boolean) => void;
  handle?: React.RefObject<ListHandle | null>;
  foot?: ReactNode;
}

const ROW_PX = 23;
const PHONE_ROW_PX = 47;

export function LogRows(props: Props) {
  const { rows, search, logql, view, wrap, newestFirst, columns, opened, onOpened, onSearch, onColumns } = props;
  const own = useRef<ListHandle>(null);
  const list = props.handle ?? own;
  const phone = useMediaQuery('(max-width: 700px)', undefined, { getInitialValueInEffect: false });
  const first = rows[0]?.ns;
  const last = rows.at(-1)?.ns;
  const days = first !== undefined && last !== undefined && day(nsToMs(first)) !== day(nsToMs(last));
  const look = useMemo<Look>(
    () => ({ view, wrap, columns, days, searched: searchedTexts(logql) }),
    [view, wrap, columns, days, logql],
  );
  const latest = useRef(opened);
  latest.current = opened;
  // Keeps its identity: scrolling draws only the rows that come into sight.
  const toggle = useCallback(
    (row: LogRow) => {
      const { row: old, around } = latest.current ?? {};
      // Among the rows around it a row opens to its detail; else a second click closes it.
      onOpened(old === row && !around ? undefined : { row, around: false });
    },
    [onOpened],
  );
  useRowKeys(rows, list, opened, onOpened);
  const shift = useCallback((px: number) => list.current?.shift(px), [list]);
  const width = { '--columns': columns.length, '--time-width': days ? '19ch' : '13ch' } as CSSProperties;
  return (
    <div className={classes.table} style={width}>
      <Head columns={columns} onColumns={onColumns} />
      <VirtualList
        items={rows}
        usual={phone ? PHONE_ROW_PX : ROW_PX}
        grows={props.grows ?? 'top'}
        hold={opened !== undefined}
        onAway={props.onAway}
        handle={list}
        foot={props.foot}
        testId="log-rows"
        label="Log rows"
        render={(row) => {
          const isOpen = opened?.row === row;
          const one = (
            <Row
              row={row}
              look={look}
              open={isOpen && !opened.around}
              onToggle={toggle}
              marked={isOpen && opened.around}
            />
          );
          if (!isOpen) return one;
          if (!opened.around)
            return (
              <>
                {one}
                <LogDetail
                  row={row}
                  search={search}
                  columns={columns}
                  onAround={() => onOpened({ row, around: true })}
                  onSearch={onSearch}
                  onColumns={onColumns}
                />
              </>
            );
          return (
            <AroundRows
              row={row}
              look={look}
              newestFirst={newestFirst}
              onShift={shift}
              onSearch={onSearch}
              onClose={() => onOpened({ row, around: false })}
            >
              {one}
            </AroundRows>
          );
        }}
      />
    </div>
  );
}

function Head({ columns, onColumns }: { columns: string[]; onColumns: (columns: string[]) => void }) {
  return (
    <div className={classes.head}>
      <span />
      <span>Time</span>
      <span>Level</span>
      {columns.map((name) => (
        <span key={name} className={classes.title}>
          <span title={name}>{name === SOURCE ? 'Component' : name}</span>
          <ActionIcon
            variant="subtle"
            color="gray"
            size={16}
            aria-label={`Remove the column ${name}`}
            onClick={() => onColumns(columns.filter((each) => each !== name))}
          >
            <IconX size={11} />
          </ActionIcon>
        </span>
      ))}
      <span>Message</span>
    </div>
  );
}

/** j and k, or the arrows, move between rows; Enter opens one, as it presses every button; c shows the rows around it. */
function useRowKeys(
  rows: LogRow[],
  list: React.RefObject<ListHandle | null>,
  opened: Opened | undefined,
  onOpened: (opened: Opened | undefined) => void,
) {
  const current = (): number => {
    const focused = document.activeElement?.closest<HTMLElement>('[data-item]')?.dataset.index;
    if (focused !== undefined) return Number(focused);
    return opened ? rows.indexOf(opened.row) : -1;
  };
  const step = (by: number) => {
    const element = list.current?.element();
    if (!element || rows.length === 0) return;
    const at = current();
    const firstShown = [...element.querySelectorAll<HTMLElement>('[data-item]')].find(
      (item) => item.getBoundingClientRect().top >= element.getBoundingClientRect().top - 1,
    );
    const next = at < 0 ? Number(firstShown?.dataset.index ?? 0) : Math.min(rows.length - 1, Math.max(0, at + by));
    list.current?.reveal(next);
    // The row is drawn when the list has scrolled.
    requestAnimationFrame(() =>
      requestAnimationFrame(() =>
        element.querySelector<HTMLElement>(`[data-index="${next}"] [data-opener]`)?.focus({ preventScroll: true }),
      ),
    );
  };
  usePageKeys({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    c: () => {
      const row = rows[current()];
      if (row) onOpened({ row, around: !(opened?.row === row && opened.around) });
    },
  });
}
