import { IconChevronRight } from '@tabler/icons-react';
import { memo } from 'react';
import type { LogRow } from '../../api/loki';
import { clock, day, nsToMs } from '../../format/time';
import { formatCount } from '../../format/units';
import { fieldOf } from './columns';
import { LEVEL_COLORS, levelOf } from './level';
import { cutAt, messageOf, rowJson } from './line';
import classes from './Row.module.css';

/** As much of a message as a line of the widest screen shows, and as much as is broken into lines: the detail has it all. */
const ONE_LINE_CHARS = 600;
const WRAPPED_CHARS = 4200;

export interface Look {
  view: 'rows' | 'json';
  wrap: boolean;
  columns: string[];
  /** True when the list spans days, so that a clock alone would not do. */
  days: boolean;
  searched: RegExp[];
}

interface Props {
  row: LogRow;
  look: Look;
  open?: boolean;
  /** Without it the row cannot be opened. */
  onToggle?: (row: LogRow) => void;
  /** True for the row that the rows around it belong to. */
  marked?: boolean;
}

/** One record: when, how grave, who, what. */
export const Row = memo(function Row({ row, look, open = false, onToggle, marked }: Props) {
  const level = levelOf(row);
  const ms = nsToMs(row.ns);
  const toggle = () => {
    // A click that ends the selecting of text is no wish to open the row.
    if (window.getSelection()?.isCollapsed ?? true) onToggle?.(row);
  };
  return (
    // The button inside does the same for the keyboard; the whole row is only a larger target for the pointer.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions
    <div
      className={classes.row}
      data-wrap={look.wrap || look.view === 'json'}
      data-open={open}
      data-marked={marked}
      data-level={level}
      data-testid={onToggle ? 'log-row' : 'around-row'}
      onClick={toggle}
    >
      <i className={classes.edge} style={{ background: `var(${LEVEL_COLORS[level]})` }} />
      {onToggle ? (
        <button
          type="button"
          className={classes.opener}
          aria-expanded={open}
          aria-label={`Details of the row of ${clock(ms)}`}
          data-opener
          onClick={(event) => {
            event.stopPropagation();
            onToggle(row);
          }}
        >
          <IconChevronRight size={13} />
        </button>
      ) : (
        <span />
      )}
      <time className={classes.time}>
        {look.days && <span className="dim">{day(ms)} </span>}
        {clock(ms)}
      </time>
      <span className={classes.level} data-level={level}>
        {level === 'unknown' ? '' : level}
      </span>
      {look.columns.map((name) => (
        <span key={name} className={classes.field} title={fieldOf(row, name)}>
          {fieldOf(row, name)}
        </span>
      ))}
      {look.view === 'json' ? (
        <Marked text={rowJson(row)} look={look} chars={WRAPPED_CHARS} />
      ) : (
        <Message line={row.line} look={look} />
      )}
    </div>
  );
});

function Message({ line, look }: { line: string; look: Look }) {
  const { text, rest } = messageOf(line);
  return <Marked text={text} rest={rest} look={look} chars={look.wrap ? WRAPPED_CHARS : ONE_LINE_CHARS} />;
}

function Marked({ text, rest, look, chars }: { text: string; rest?: string; look: Look; chars: number }) {
  const shown = text.slice(0, chars);
  const left = text.length - shown.length;
  return (
    <span className={classes.message} data-json={look.view === 'json'}>
      {cutAt(shown, look.searched).map((piece, at) => (at % 2 ? <mark key={at}>{piece}</mark> : piece))}
      {left > 0 && <span className={classes.rest}>… {formatCount(left)} more characters in the detail</span>}
      {rest && <span className={classes.rest}>{rest.slice(0, chars)}</span>}
    </span>
  );
}
