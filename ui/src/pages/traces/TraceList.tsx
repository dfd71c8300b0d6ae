import { SegmentedControl } from '@mantine/core';
import { IconAlertOctagon } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, useState } from 'react';
import type { TraceSummary } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { formatDuration } from '../../format/units';
import classes from './Traces.module.css';

type Sort = 'newest' | 'longest' | 'errors';

const SORTS: Record<Sort, (a: TraceSummary, b: TraceSummary) => number> = {
  newest: (a, b) => b.startMs - a.startMs,
  longest: (a, b) => b.durationMs - a.durationMs,
  errors: (a, b) => (b.errorCount ?? 0) - (a.errorCount ?? 0) || b.startMs - a.startMs,
};

export function TraceList({ traces }: { traces: TraceSummary[] }) {
  const [address] = useAddress();
  const [sort, setSort] = useState<Sort>('newest');
  const box = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => [...traces].sort(SORTS[sort]), [traces, sort]);
  const longest = Math.max(1, ...traces.map((trace) => trace.durationMs));
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => 30, overscan: 10 });
  return (
    <>
      <div className={classes.listHead}>
        <span className={classes.columns}>
          <span>Began</span>
          <span>Service</span>
          <span>Operation</span>
          <span className="num">Spans</span>
          <span className="num">Errors</span>
          <span>Duration</span>
        </span>
        <SegmentedControl
          value={sort}
          onChange={(value) => setSort(value as Sort)}
          data={[
            { value: 'newest', label: 'Newest' },
            { value: 'longest', label: 'Longest' },
            { value: 'errors', label: 'Errors' },
          ]}
          aria-label="Order of the traces"
        />
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
                  <i style={{ width: `${(trace.durationMs / longest) * 100}%` }} data-error={Boolean(trace.errorCount)} />
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
