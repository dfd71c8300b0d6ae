import { Button } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useCallback, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { rowKey, type LogRow } from '../../api/loki';
import { clock, day, nsToMs } from '../../format/time';
import { searchedTexts } from './edit';
import { LEVEL_COLORS, levelOf } from './level';
import { cutAt, messageOf, serviceOf } from './line';
import { LogDetail } from './LogDetail';
import classes from './Logs.module.css';

interface Props {
  rows: LogRow[];
  query: string;
  wrap: boolean;
  openKey: string | undefined;
  onToggle: (key: string) => void;
  onQuery: (query: string) => void;
  older: { load: () => void; loading: boolean } | undefined;
}

const ROW_HEIGHT = 23;

export function LogRows({ rows, query, wrap, openKey, onToggle, onQuery, older }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const keys = useMemo(() => uniqueKeys(rows), [rows]);
  const searched = useMemo(() => searchedTexts(query), [query]);
  const days = useMemo(
    () => rows.length > 0 && day(nsToMs(rows[0]?.ns ?? '0')) !== day(nsToMs(rows.at(-1)?.ns ?? '0')),
    [rows],
  );
  const [scrolled, setScrolled] = useState(false);
  const virtual = useVirtualizer({
    count: rows.length + (older ? 1 : 0),
    getScrollElement: () => box.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => keys[index] ?? 'older',
    overscan: 12,
    // New rows push the list down while its top shows; rows that somebody reads stay where they are.
    anchorTo: scrolled || openKey !== undefined ? 'end' : 'start',
  });

  // Both handlers of a row keep their identity: scrolling draws only the rows that come into sight.
  const step = useCallback(
    (event: KeyboardEvent, index: number) => {
      const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
      if (!by) return;
      event.preventDefault();
      const next = index + by;
      virtual.scrollToIndex(next, { align: 'auto' });
      requestAnimationFrame(() => {
        box.current?.querySelector<HTMLElement>(`[data-index="${next}"] [data-opener]`)?.focus();
      });
    },
    [virtual],
  );

  return (
    <div
      ref={box}
      className={classes.scroll}
      data-testid="log-rows"
      onScroll={(event) => setScrolled(event.currentTarget.scrollTop > 0)}
    >
      <div className={classes.space} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          const key = keys[item.index];
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className={classes.item}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {row && key !== undefined ? (
                <>
                  <Row
                    row={row}
                    id={key}
                    index={item.index}
                    wrap={wrap}
                    days={days}
                    searched={searched}
                    open={key === openKey}
                    onToggle={onToggle}
                    onStep={step}
                  />
                  {key === openKey && <LogDetail row={row} query={query} onQuery={onQuery} />}
                </>
              ) : (
                <div className={classes.older}>
                  <Button variant="default" onClick={older?.load} loading={older?.loading}>
                    Load older rows
                  </Button>
                </div>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** A key for each row that stays the same while rows are added above: equal rows are told apart by counting from the oldest. */
function uniqueKeys(rows: LogRow[]): string[] {
  const seen = new Map<string, number>();
  const keys = new Array<string>(rows.length);
  for (let index = rows.length - 1; index >= 0; index--) {
    const key = rowKey(rows[index] as LogRow);
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    keys[index] = count ? `${key} #${count}` : key;
  }
  return keys;
}

interface RowProps {
  row: LogRow;
  id: string;
  index: number;
  wrap: boolean;
  days: boolean;
  searched: string[];
  open: boolean;
  onToggle: (id: string) => void;
  onStep: (event: KeyboardEvent, index: number) => void;
}

const Row = memo(function Row({ row, id, index, wrap, days, searched, open, onToggle, onStep }: RowProps) {
  const level = levelOf(row);
  const ms = nsToMs(row.ns);
  const message = messageOf(row.line);
  const toggle = () => {
    // A click that ends the selecting of text is no wish to open the row.
    if (window.getSelection()?.isCollapsed ?? true) onToggle(id);
  };
  return (
    // The button inside does the same for the keyboard; the whole row is only a larger target for the pointer.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions
    <div
      className={classes.row}
      data-wrap={wrap}
      data-open={open}
      data-level={level}
      data-testid="log-row"
      onClick={toggle}
    >
      <i className={classes.edge} style={{ background: `var(${LEVEL_COLORS[level]})` }} />
      <button
        type="button"
        className={classes.opener}
        aria-expanded={open}
        aria-label={`Details of the row of ${clock(ms)}`}
        data-opener
        onClick={(event) => {
          event.stopPropagation();
          onToggle(id);
        }}
        onKeyDown={(event) => onStep(event, index)}
      >
        <IconChevronRight size={13} />
      </button>
      <time className={classes.time}>
        {days && <span className="dim">{day(ms)} </span>}
        {clock(ms)}
      </time>
      <span className={classes.level} data-level={level}>
        {level === 'unknown' ? '' : level}
      </span>
      <span className={classes.service} title={serviceOf(row)}>
        {serviceOf(row)}
      </span>
      <span className={classes.message}>
        {cutAt(message.text, searched).map((piece, at) => (at % 2 ? <mark key={at}>{piece}</mark> : piece))}
        {message.rest && <span className={classes.rest}>{message.rest}</span>}
      </span>
    </div>
  );
});
