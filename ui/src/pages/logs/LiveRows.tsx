import { Button } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import { usePageKeys } from '../../app/useKeys';
import { formatCount } from '../../format/units';
import type { ListHandle } from '../../list/VirtualList';
import { Empty } from '../../status/Empty';
import { Problem } from '../../status/Problem';
import { useTime } from '../../time/useTime';
import { LogRows, type Opened } from './LogRows';
import classes from './Logs.module.css';
import { TAIL_ROWS_MAX } from './tail';
import { useTail, type TailView } from './useTail';

const RANGE_MOVES_MS = 10_000;

interface Props {
  search: string;
  logql: string;
  view: 'rows' | 'json';
  wrap: boolean;
  newestFirst: boolean;
  columns: string[];
  onSearch: (search: string) => void;
  onColumns: (columns: string[]) => void;
  onStop: () => void;
}

/** New rows as they arrive. The list stands still while somebody reads in it, and says how many came since. */
export function LiveRows(props: Props) {
  const { logql, newestFirst, onStop } = props;
  const time = useTime();
  const [opened, setOpened] = useState<Opened>();
  const [away, setAway] = useState(false);
  const [byHand, setByHand] = useState(false);
  const paused = byHand || away || opened !== undefined;
  const tail = useTail(logql, time.range.startMs, paused);
  const rows = useMemo(() => (newestFirst ? [...tail.rows].reverse() : tail.rows), [tail.rows, newestFirst]);
  const list = useRef<ListHandle>(null);
  const resume = () => {
    setOpened(undefined);
    setByHand(false);
    setAway(false);
    list.current?.toEnd();
  };
  usePageKeys({
    p: () => (paused ? resume() : setByHand(true)),
    Escape: () => (opened ? setOpened(undefined) : undefined),
  });
  useMovingRange();

  if (tail.state.is === 'refused')
    return (
      <>
        <Problem error={tail.state.error} />
        <Button ml={12} mb={12} w="max-content" variant="default" onClick={onStop}>
          Show the rows without following them
        </Button>
      </>
    );
  const Arrow = newestFirst ? IconArrowUp : IconArrowDown;
  return (
    <>
      <div className={classes.live} data-testid="live-state">
        <i data-is={paused ? 'paused' : tail.state.is} aria-hidden />
        <span role="status">{stateText(tail, paused)}</span>
        <span>{countsText(tail)}</span>
        <Losses tail={tail} />
        <Button
          ml="auto"
          size="compact-xs"
          variant="default"
          leftSection={paused ? <IconPlayerPlay size={13} /> : <IconPlayerPause size={13} />}
          onClick={() => (paused ? resume() : setByHand(true))}
        >
          {paused ? 'Go on' : 'Pause'}
        </Button>
      </div>
      <div className={classes.rows}>
        {rows.length === 0 ? (
          <Empty
            title="No rows yet"
            hint={
              <>
                Following <code>{logql}</code>. New rows appear here as they arrive.
              </>
            }
          />
        ) : (
          <LogRows
            {...props}
            rows={rows}
            opened={opened}
            onOpened={setOpened}
            grows={newestFirst ? 'top' : 'bottom'}
            onAway={setAway}
            handle={list}
          />
        )}
        {paused && tail.waiting > 0 && (
          <Button
            className={classes.waiting}
            data-at={newestFirst ? 'top' : 'bottom'}
            size="compact-sm"
            leftSection={<Arrow size={14} />}
            onClick={resume}
            data-testid="waiting"
          >
            {formatCount(tail.waiting)} new {tail.waiting === 1 ? 'line' : 'lines'}
          </Button>
        )}
      </div>
    </>
  );
}

function stateText({ state }: TailView, paused: boolean): string {
  if (state.is === 'waiting') return `The connection was lost; trying again in ${state.retryMs / 1000} s`;
  if (state.is === 'connecting') return 'Connecting';
  return paused ? 'Paused' : 'Live';
}

function countsText({ received, evicted }: TailView): string {
  if (received === 0) return '';
  const came = `${formatCount(received)} ${received === 1 ? 'line' : 'lines'} so far`;
  return evicted > 0 ? `${came}, the newest ${formatCount(TAIL_ROWS_MAX)} are kept` : came;
}

function Losses({ tail }: { tail: TailView }) {
  const { dropped, gap } = tail;
  if (dropped === 0 && !gap) return null;
  return (
    <b className={classes.lost} role="alert">
      {dropped > 0 && `${formatCount(dropped)} ${dropped === 1 ? 'line was' : 'lines were'} left out by the server. `}
      {gap && 'After the connection was lost more came than could be caught up with: lines are missing. '}
      Narrow the search, or refresh for all.
    </b>
  );
}

/** The histogram above moves on with the rows. */
function useMovingRange() {
  const time = useTime();
  const move = useEffectEvent(() => {
    if (!document.hidden && time.text.to === 'now') time.refresh();
  });
  useEffect(() => {
    const timer = setInterval(() => move(), RANGE_MOVES_MS);
    return () => clearInterval(timer);
  }, []);
}
