import { Button, SegmentedControl } from '@mantine/core';
import { IconListDetails } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useMemo } from 'react';
import { fetchTrace, type TraceAnswer } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { formatCount, formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { useTime } from '../../time/useTime';
import { Copy } from '../../status/Copy';
import { ALL_LOGS } from '../logs/selector';
import { Compare } from './Compare';
import { mainRoot } from './critical';
import { TraceFlame } from './TraceFlame';
import classes from './Trace.module.css';
import { beganMs, buildTree, logsAround, type TraceTree } from './tree';
import { TraceSpans } from './TraceSpans';

export default function Trace() {
  const traceId = useParams({ strict: false }).traceId ?? '';
  const time = useTime();
  const answer = useQuery({
    queryKey: ['trace', traceId, time.manual],
    queryFn: ({ signal }) => fetchTrace(traceId, signal),
    // A trace may be tens of megabytes: it is not kept once the page is left.
    gcTime: 10_000,
  });
  return (
    <div className={classes.page}>
      <Answer
        query={answer}
        loading={<Loading lines={16} height={18} />}
        empty={({ spans }) =>
          spans.length ? null : (
            <Empty
              title="This trace has no spans"
              hint={
                <>
                  Asked for <code>{traceId}</code>. Its spans may not have arrived yet, or be past their retention.
                </>
              }
            />
          )
        }
      >
        {(found) => <Found key={traceId} traceId={traceId} answer={found} />}
      </Answer>
    </div>
  );
}

type View = 'spans' | 'flame' | 'compare';

function Found({ traceId, answer }: { traceId: string; answer: TraceAnswer }) {
  const [address, setAddress] = useAddress();
  const tree = useMemo(() => buildTree(answer.spans), [answer]);
  const view: View = address.view === 'flame' || address.view === 'compare' ? address.view : 'spans';
  return (
    <>
      <Head traceId={traceId} tree={tree}>
        <SegmentedControl
          value={view}
          onChange={(next) => setAddress({ view: next === 'spans' ? undefined : next })}
          data={[
            { value: 'spans', label: 'Waterfall' },
            { value: 'flame', label: 'Flame graph' },
            { value: 'compare', label: 'Compare' },
          ]}
          aria-label="How to show the trace"
        />
      </Head>
      {view === 'flame' ? (
        <TraceFlame tree={tree} />
      ) : view === 'compare' ? (
        <Compare traceId={traceId} tree={tree} />
      ) : (
        <TraceSpans tree={tree} partial={answer.partial} />
      )}
    </>
  );
}

function Head({ traceId, tree, children }: { traceId: string; tree: TraceTree; children: React.ReactNode }) {
  const [address] = useAddress();
  const root = mainRoot(tree)?.span;
  const startMs = beganMs(tree);
  return (
    <header className={classes.head}>
      <div className={classes.title}>
        <h1>
          <span>{root?.service}</span> {root?.name}
        </h1>
        <p className="dim">
          {day(startMs)}, {clock(startMs)} · <span className="mono">{traceId}</span>
        </p>
      </div>
      <dl className={classes.facts}>
        <Fact name="Duration" value={formatDuration(tree.totalMs)} />
        <Fact name="Spans" value={formatCount(tree.spanCount)} />
        <Fact name="Services" value={formatCount(tree.services.length)} />
        <Fact name="Errors" value={formatCount(tree.errorCount)} bad={tree.errorCount > 0} />
      </dl>
      {children}
      <div className={classes.headButtons}>
        <Copy text={traceId} label="Copy the id" />
        <Button
          size="compact-xs"
          variant="light"
          leftSection={<IconListDetails size={14} />}
          renderRoot={(props: object) => (
            <Link
              {...props}
              to="/logs"
              search={{ ...logsAround(tree, timeWords(address)), q: `${ALL_LOGS} | trace_id="${traceId}"` }}
            />
          )}
        >
          Logs of this trace
        </Button>
      </div>
    </header>
  );
}

function Fact({ name, value, bad }: { name: string; value: string; bad?: boolean }) {
  return (
    <div data-bad={bad}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
