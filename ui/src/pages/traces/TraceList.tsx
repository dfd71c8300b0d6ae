import { useMediaQuery } from '@mantine/hooks';
import { IconAlertOctagon, IconChevronDown } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { TraceSummary } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { formatDuration } from '../../format/units';
import classes from './Traces.module.css';

/** As in `Traces.module.css`. */
const NARROW = '(max-width: 700px)';
const ROW_HEIGHT = 30;
const NARROW_ROW_HEIGHT = 50;

type Sort = 'newest' | 'spans' | 'errors' | 'longest';

const SORTS: Record<Sort, (a: TraceSummary, b: TraceSummary) => number> = {
  newest: (a, b) => b.startMs - a.startMs,
  spans: (a, b) => (b.spanCount ?? 0) - (a.spanCount ?? 0) || b.startMs - a.startMs,
  errors: (a, b) => (b.errorCount ?? 0) - (a.errorCount ?? 0) || b.startMs - a.startMs,
  longest: (a, b) => b.durationMs - a.durationMs,
};

export function TraceList({ traces }: { traces: TraceSummary[] }) {
  const [address] = useAddress();
  const [sort, setSort] = useState<Sort>('newest');
  const box = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => [...traces].sort(SORTS[sort]), [traces, sort]);
  const longest = Math.max(1, ...traces.map((trace) => trace.durationMs));
  const narrow = useMediaQuery(NARROW, false, { getInitialValueInEffect: false });
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => (narrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT),
    overscan: 10,
  });
  useEffect(() => virtual.measure(), [virtual, narrow]);
  return (
    <>
      <div className={classes.listHead}>
        <Order title="Began" by="newest" sort={sort} onSort={setSort} />
        <span>Service</span>
        <span>Operation</span>
        <Order title="Spans" by="spans" sort={sort} onSort={setSort} right />
        <Order title="Errors" by="errors" sort={sort} onSort={setSort} right />
        <Order title="Duration" by="longest" sort={sort} onSort={setSort} />
      </div>
      <div ref={box} className={classes.scroll} data-testid="trace-list">
        <div style={{ position: 'relative', height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const trace = rows[item.index];
            if (!trace) return null;
            return (
              <Link
                key={item.key}
                to="/trace/$traceId"
                params={{ traceId: trace.traceId }}
                search={timeWords(address)}
                className={classes.trace}
                style={{ transform: `translateY(${item.start}px)` }}
                preload={false}
              >
                <time className="mono dim">
                  {day(trace.startMs)} {clock(trace.startMs)}
                </time>
                <span className={classes.service}>{trace.service || 'root span not yet here'}</span>
                <span className="ellipsis" title={trace.name}>
                  {trace.name}
                </span>
                <span className="num dim">{trace.spanCount ?? ''}</span>
                <span className="num">
                  {trace.errorCount ? (
                    <span className={classes.errors}>
                      <IconAlertOctagon size={13} aria-hidden /> {trace.errorCount}
                    </span>
                  ) : (
                    ''
                  )}
                </span>
                <span className={classes.duration}>
                  <i
                    style={{ width: `${(trace.durationMs / longest) * 100}%` }}
                    data-error={Boolean(trace.errorCount)}
                  />
                  <b>{formatDuration(trace.durationMs)}</b>
                </span>
              </Link>
            );
          })}
        </div>
      </div>
    </>
  );
}

interface OrderProps {
  title: string;
  by: Sort;
  sort: Sort;
  onSort: (sort: Sort) => void;
  right?: boolean;
}

/** A heading that sorts by its column, largest or newest first. */
function Order({ title, by, sort, onSort, right }: OrderProps) {
  return (
    <button
      type="button"
      className={classes.order}
      data-right={right}
      aria-pressed={sort === by}
      onClick={() => onSort(by)}
    >
      {title}
      {sort === by && <IconChevronDown size={12} aria-hidden />}
    </button>
  );
}
