import { Button } from '@mantine/core';
import { IconListDetails } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Span } from '../../api/otlp';
import { fetchTrace } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { useEscape } from '../../app/useKeys';
import { clock, day } from '../../format/time';
import { formatCount, formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { useTime } from '../../time/useTime';
import { Copy } from '../logs/LogDetail';
import { ALL_LOGS } from '../logs/selector';
import { SpanDetail } from './SpanDetail';
import classes from './Trace.module.css';
import { buildTree, logsAround, type TraceTree } from './tree';
import { Waterfall } from './Waterfall';

export default function Trace() {
  const traceId = useParams({ strict: false }).traceId ?? '';
  const time = useTime();
  const answer = useQuery({
    queryKey: ['trace', traceId, time.manual],
    queryFn: ({ signal }) => fetchTrace(traceId, signal),
  });
  return (
    <div className={classes.page}>
      <Answer
        query={answer}
        loading={<Loading lines={16} height={18} />}
        empty={(spans) =>
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
        {(spans) => <Spans key={traceId} traceId={traceId} spans={spans} />}
      </Answer>
    </div>
  );
}

function Spans({ traceId, spans }: { traceId: string; spans: Span[] }) {
  const [address, setAddress] = useAddress();
  const tree = useMemo(() => buildTree(spans), [spans]);
  const selected = tree.nodes.get(address.span ?? '');
  const select = (spanId: string | undefined) => setAddress({ span: spanId }, { replace: true });
  useEscape(() => select(undefined));
  return (
    <>
      <Head traceId={traceId} tree={tree} />
      <div className={classes.body}>
        <Waterfall tree={tree} selected={selected?.span.spanId} onSelect={select} />
        {selected && <SpanDetail node={selected} tree={tree} onClose={() => select(undefined)} onSelect={select} />}
      </div>
    </>
  );
}

function Head({ traceId, tree }: { traceId: string; tree: TraceTree }) {
  const [address] = useAddress();
  const root = tree.roots[0]?.span;
  const startMs = Number(tree.startNs / 1000n) / 1000;
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
        <Fact name="Duration" value={formatDuration(Number(tree.endNs - tree.startNs) / 1e6)} />
        <Fact name="Spans" value={formatCount(tree.spanCount)} />
        <Fact name="Services" value={formatCount(tree.services.length)} />
        <Fact name="Errors" value={formatCount(tree.errorCount)} bad={tree.errorCount > 0} />
      </dl>
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
