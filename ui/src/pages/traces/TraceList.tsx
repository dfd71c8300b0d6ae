import { Button, Checkbox } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconAlertOctagon, IconArrowsDiff, IconChevronDown, IconX } from '@tabler/icons-react';
import { Link, useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { TraceSummary } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { formatCount, formatDuration } from '../../format/units';
import classes from './Traces.module.css';

/** As in `Traces.module.css`. */
const NARROW = '(max-width: 700px)';
const ROW_HEIGHT = 32;
const NARROW_ROW_HEIGHT = 54;
const DOTS_MAX = 7;

type Sort = 'newest' | 'spans' | 'errors' | 'longest';

const SORTS: Record<Sort, (a: TraceSummary, b: TraceSummary) => number> = {
  newest: (a, b) => b.startMs - a.startMs,
  spans: (a, b) => (b.spanCount ?? 0) - (a.spanCount ?? 0) || b.startMs - a.startMs,
  errors: (a, b) => (b.errorCount ?? 0) - (a.errorCount ?? 0) || b.startMs - a.startMs,
  longest: (a, b) => b.durationMs - a.durationMs,
};

interface Props {
  traces: TraceSummary[];
  colors: Map<string, string>;
  /** True when the query asks for certain spans: a trace then opens at the first of them. */
  linkSpans: boolean;
  /** The ids of the traces that are to be compared, two at most. */
  chosen: string[];
  onChosen: (chosen: string[]) => void;
}

export function TraceList({ traces, colors, linkSpans, chosen, onChosen }: Props) {
  const [sort, setSort] = useState<Sort>('newest');
  const box = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => [...traces].sort(SORTS[sort]), [traces, sort]);
  const longest = Math.max(1e-6, ...traces.map((trace) => trace.durationMs));
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
        <span />
        <Order title="Began" by="newest" sort={sort} onSort={setSort} />
        <span>Began in</span>
        <span>Services</span>
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
              <div
                key={item.key}
                className={classes.row}
                style={{ transform: `translateY(${item.start}px)` }}
                data-chosen={chosen.includes(trace.traceId)}
              >
                <Checkbox
                  size="xs"
                  checked={chosen.includes(trace.traceId)}
                  onChange={() => onChosen(toggled(chosen, trace.traceId))}
                  aria-label={`Compare the trace of ${clock(trace.startMs)}`}
                  className={classes.choose}
                />
                <TraceRow trace={trace} longest={longest} colors={colors} linkSpans={linkSpans} />
              </div>
            );
          })}
        </div>
      </div>
      {chosen.length > 0 && <Chosen traces={traces} chosen={chosen} onChosen={onChosen} />}
    </>
  );
}

/** Of three the one that was chosen first is let go. */
function toggled(chosen: string[], traceId: string): string[] {
  return chosen.includes(traceId) ? chosen.filter((each) => each !== traceId) : [...chosen, traceId].slice(-2);
}

interface RowProps {
  trace: TraceSummary;
  longest: number;
  colors: Map<string, string>;
  linkSpans: boolean;
}

function TraceRow({ trace, longest, colors, linkSpans }: RowProps) {
  const [address] = useAddress();
  return (
    <Link
      to="/trace/$traceId"
      params={{ traceId: trace.traceId }}
      search={{ ...timeWords(address), span: linkSpans ? trace.spans[0]?.spanId : undefined }}
      className={classes.trace}
      preload={false}
    >
      <time className="mono dim">
        {day(trace.startMs)} {clock(trace.startMs)}
      </time>
      <span className={classes.began} title={`${trace.service} ${trace.name}`}>
        <b>{trace.service || 'root span not yet here'}</b> {trace.name}
        {linkSpans && trace.matched !== undefined && trace.spanCount !== trace.matched && (
          <small className="dim">
            {' '}
            {formatCount(trace.matched)} {trace.matched === 1 ? 'span matches' : 'spans match'}
          </small>
        )}
      </span>
      <Services trace={trace} colors={colors} />
      <span className="num dim">{trace.spanCount === undefined ? '' : formatCount(trace.spanCount)}</span>
      <span className="num">
        {trace.errorCount ? (
          <span className={classes.errors}>
            <IconAlertOctagon size={13} aria-hidden /> {formatCount(trace.errorCount)}
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
}

function Services({ trace, colors }: { trace: TraceSummary; colors: Map<string, string> }) {
  const { services } = trace;
  if (services.length === 0) return <span />;
  const words = services.map(({ name, spans, errors }) => `${name}: ${spans}${errors ? `, ${errors} failed` : ''}`);
  return (
    <span className={classes.services} title={words.join('\n')}>
      {services.slice(0, DOTS_MAX).map(({ name, errors }) => (
        <i key={name} style={{ background: colors.get(name) }} data-error={errors > 0} />
      ))}
      <small className="dim">{services.length === 1 ? services[0]?.name : services.length}</small>
    </span>
  );
}

/** What was chosen to be compared, and the way there. */
function Chosen({ traces, chosen, onChosen }: Pick<Props, 'traces' | 'chosen' | 'onChosen'>) {
  const [address] = useAddress();
  const navigate = useNavigate();
  const names = chosen.map((id) => {
    const trace = traces.find(({ traceId }) => traceId === id);
    return trace ? `${clock(trace.startMs)} (${formatDuration(trace.durationMs)})` : id;
  });
  const [other, traceId] = chosen;
  return (
    <div className={classes.chosen} role="status" data-testid="chosen">
      <span>{names.length === 1 ? `${names[0]} chosen. Choose another to compare it with.` : names.join(' and ')}</span>
      <Button
        size="compact-sm"
        leftSection={<IconArrowsDiff size={14} />}
        disabled={!traceId || !other}
        onClick={() =>
          traceId &&
          void navigate({
            to: '/trace/$traceId',
            params: { traceId },
            search: { ...timeWords(address), view: 'compare', with: other },
          })
        }
      >
        Compare the two
      </Button>
      <Button size="compact-sm" variant="default" leftSection={<IconX size={13} />} onClick={() => onChosen([])}>
        Choose none
      </Button>
    </div>
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
