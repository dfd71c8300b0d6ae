import { Button, SegmentedControl } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { FoundTraces } from '../../api/tempo';
import { useAddress } from '../../app/address';
import { formatCount, formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { useColors } from '../trace/useColors';
import { Differs } from './Differs';
import { SearchForm } from './SearchForm';
import { SetFlame } from './SetFlame';
import { ShareLink } from './ShareLink';
import { TraceList } from './TraceList';
import classes from './Traces.module.css';
import { TraceScatter } from './TraceScatter';
import { toCriteria, toTraceql } from './criteria';
import { narrowed } from './traceql';
import { partsOf } from './spread';
import { LIMIT_MAX, useSeconds, useTraceSearch } from './useTraceSearch';

type View = 'list' | 'differs' | 'flame';

export default function Traces() {
  const [, setAddress] = useAddress();
  const time = useTime();
  const { q, limit, answer } = useTraceSearch();
  const search = (query: string) => {
    if (query === q) return time.refresh();
    // What an address of before holds is in the query now.
    setAddress({
      q: query === '{}' ? undefined : query,
      service: undefined,
      tags: undefined,
      min: undefined,
      max: undefined,
    });
  };
  return (
    <div className={classes.page}>
      <SearchForm query={q} onSearch={search} running={answer.isFetching} />
      <div className={classes.answer}>
        <Answer
          query={answer}
          empty={(found) =>
            found.traces.length ? null : <NoTraces q={q} partial={found.partial} onClear={() => search('{}')} />
          }
        >
          {(found) => <Found found={found} q={q} limit={limit} onSearch={search} />}
        </Answer>
      </div>
    </div>
  );
}

interface FoundProps {
  found: FoundTraces;
  q: string;
  limit: number;
  onSearch: (query: string) => void;
}

function Found({ found, q, limit, onSearch }: FoundProps) {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const { traces } = found;
  const view: View = address.view === 'differs' || address.view === 'flame' ? address.view : 'list';
  const services = useMemo(() => servicesOf(found), [found]);
  const colors = useColors(services);
  const [chosen, setChosen] = useState<string[]>([]);
  const narrow = (startMs: number, endMs: number, lowMs: number | undefined, highMs: number | undefined) => {
    const next = withDuration(q, lowMs, highMs);
    setAddress({
      from: `${Math.floor(startMs)}`,
      to: `${Math.ceil(endMs)}`,
      ...(next ? { q: next } : {}),
    });
    if (next === undefined) time.refresh();
  };
  return (
    <>
      <TraceScatter traces={traces} onBrush={narrow} />
      <div className={classes.bar}>
        <SegmentedControl
          value={view}
          onChange={(next) => setAddress({ view: next === 'list' ? undefined : next })}
          data={[
            { value: 'list', label: 'Traces' },
            { value: 'differs', label: 'What differs' },
            { value: 'flame', label: 'Flame graph' },
          ]}
          aria-label="What to show of the traces"
        />
        <Count found={found} limit={limit} />
        <ShareLink />
      </div>
      {view === 'differs' ? (
        <Differs key={q} traces={traces} q={q} onSearch={onSearch} />
      ) : view === 'flame' ? (
        <SetFlame traces={traces} />
      ) : (
        <TraceList traces={traces} colors={colors} linkSpans={q !== '{}'} chosen={chosen} onChosen={setChosen} />
      )}
    </>
  );
}

/** The services of all traces, those in most traces first. */
function servicesOf({ traces }: FoundTraces): string[] {
  const counts = new Map<string, number>();
  for (const trace of traces)
    for (const name of trace.services.length ? trace.services.map((each) => each.name) : [trace.service])
      if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([a, many], [b, more]) => more - many || a.localeCompare(b)).map(([name]) => name);
}

/** The query with these bounds on the duration of the trace; undefined when it cannot take any. */
function withDuration(q: string, lowMs: number | undefined, highMs: number | undefined): string | undefined {
  const text = (ms: number) => `${Number((ms * 1000).toPrecision(3))}us`.replace(/^(\d+)000us$/, '$1ms');
  if (lowMs === undefined && highMs === undefined) return q;
  const criteria = toCriteria(q);
  const bounds = {
    ...(lowMs === undefined ? {} : { min: text(lowMs) }),
    ...(highMs === undefined ? {} : { max: text(highMs) }),
  };
  if (criteria) return toTraceql({ ...criteria, ...bounds });
  const bound = (op: '>=' | '<=', value: string | undefined) =>
    value ? [{ name: 'traceDuration', op, value: { kind: 'duration' as const, text: value } }] : [];
  return narrowed(q, [...bound('>=', bounds.min), ...bound('<=', bounds.max)]);
}

/** How much of what there is shows: never silent about the rest. */
function Count({ found, limit }: { found: FoundTraces; limit: number }) {
  const [, setAddress] = useAddress();
  const { traces, partial, more } = found;
  const next = Math.min(LIMIT_MAX, limit * 2);
  const parts = partsOf({ q: '', limit, ...useSeconds() });
  const [part] = parts;
  const failed = traces.filter(({ errorCount }) => errorCount).length;
  return (
    <span className={classes.count} data-testid="trace-count">
      {formatCount(traces.length)} {traces.length === 1 ? 'trace' : 'traces'}
      {!more
        ? !partial && ', all that match'
        : part && parts.length > 1
          ? `: the newest ${part.limit} of each ${lengthOf(part)}`
          : ', the newest that match'}
      {failed > 0 && (
        <>
          , <b>{formatCount(failed)} with errors</b>
        </>
      )}
      .{more && ' There are more.'}
      {partial && <b className={classes.partial}> Not everything was searched: {partial}</b>}
      {more && limit < LIMIT_MAX && (
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => setAddress({ limit: String(next) }, { replace: true })}
        >
          Show more
        </Button>
      )}
    </span>
  );
}

/** `3 min`, without seconds where there are none. */
function lengthOf({ start, end }: { start: number; end: number }): string {
  return formatDuration((end - start) * 1000).replace(/ 0 (s|min|h)$/, '');
}

function NoTraces({ q, partial, onClear }: { q: string; partial: string | undefined; onClear: () => void }) {
  const time = useTime();
  return (
    <Empty
      title="No traces match"
      hint={
        <>
          Asked for {q === '{}' ? 'every trace' : <code>{q}</code>} in {rangePhrase(time.text, time.nowMs)}.{' '}
          {partial ? `Not everything was searched: ${partial}` : 'Widen the time range, or ask for less.'}
        </>
      }
    >
      <Button variant="default" onClick={() => time.setRange({ from: 'now-1d', to: 'now' })}>
        Look at the last 24 hours
      </Button>
      {q !== '{}' && (
        <Button variant="default" onClick={onClear}>
          Show all traces
        </Button>
      )}
    </Empty>
  );
}
