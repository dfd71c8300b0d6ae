import { Button, Switch } from '@mantine/core';
import { IconAlertOctagonFilled, IconArrowsExchange } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { fetchTrace } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { formatCount, formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Alike } from './Alike';
import classes from './Compare.module.css';
import { compareTraces, differing, type Comparison, type Pair, type Verdict } from './pairs';
import { beganMs, buildTree, type TraceTree } from './tree';

/** More rows than this are not drawn: a comparison of them all is no longer read. */
const ROWS_MAX = 2000;

/** This trace beside another one: what is new, gone, slower or faster in it. */
export function Compare({ traceId, tree }: { traceId: string; tree: TraceTree }) {
  const [address, setAddress] = useAddress();
  const other = (address.with ?? '').trim().toLowerCase();
  return (
    <div className={classes.page}>
      <Alike traceId={traceId} tree={tree} chosen={other} onChoose={(id) => setAddress({ with: id })} />
      {other && other !== traceId ? (
        <Against key={other} traceId={traceId} tree={tree} other={other} />
      ) : (
        <Empty
          title="Compare with which trace?"
          hint="Choose one of the same kind at the top, or paste the id of any trace. A usual one tells what is unusual in this one."
        />
      )}
    </div>
  );
}

function Against({ traceId, tree, other }: { traceId: string; tree: TraceTree; other: string }) {
  const answer = useQuery({
    queryKey: ['trace', other, 0],
    queryFn: ({ signal }) => fetchTrace(other, signal),
    gcTime: 10_000,
  });
  return (
    <Answer query={answer}>
      {({ spans }) => <Both traceId={traceId} tree={tree} other={other} otherTree={buildTree(spans)} />}
    </Answer>
  );
}

interface BothProps {
  traceId: string;
  tree: TraceTree;
  other: string;
  otherTree: TraceTree;
}

function Both({ traceId, tree, other, otherTree }: BothProps) {
  const [address] = useAddress();
  const navigate = useNavigate();
  // The other one is what is usual; what this one has more or less is told of this one.
  const compared = useMemo(() => compareTraces(otherTree, tree), [tree, otherTree]);
  const [all, setAll] = useState(false);
  const pairs = useMemo(() => (all ? compared.pairs : differing(compared.pairs)), [all, compared]);
  const most = Math.max(1e-9, ...compared.pairs.map(({ a, b }) => Math.max(a?.durationMs ?? 0, b?.durationMs ?? 0)));
  return (
    <>
      <div className={classes.summary} data-testid="comparison">
        <p>{summaryWords(compared, tree, otherTree)}</p>
        <Reasons compared={compared} />
        <div className={classes.controls}>
          <Counts counts={compared.counts} />
          <Switch label="Also what is alike" checked={all} onChange={() => setAll(!all)} />
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconArrowsExchange size={13} />}
            onClick={() =>
              void navigate({
                to: '/trace/$traceId',
                params: { traceId: other },
                search: { ...timeWords(address), view: 'compare', with: traceId },
              })
            }
          >
            The other way round
          </Button>
        </div>
      </div>
      <div className={classes.head} aria-hidden>
        <span>Service and operation</span>
        <Whose name="The other" tree={otherTree} />
        <Whose name="This trace" tree={tree} />
        <span>Difference</span>
      </div>
      <div className={classes.rows} role="list" aria-label="Spans of both traces" data-testid="pairs">
        {pairs.length === 0 && <p className={classes.alike}>The two traces do not differ in any span that matters.</p>}
        {pairs.slice(0, ROWS_MAX).map((pair) => (
          <Row key={rowKey(pair)} pair={pair} most={most} traceId={traceId} other={other} />
        ))}
        {pairs.length > ROWS_MAX && (
          <p className={classes.alike}>and {formatCount(pairs.length - ROWS_MAX)} more that are not drawn</p>
        )}
      </div>
    </>
  );
}

function rowKey(pair: Pair): string {
  return `${pair.a?.first.span.spanId ?? ''} ${pair.b?.first.span.spanId ?? ''}`;
}

function Whose({ name, tree }: { name: string; tree: TraceTree }) {
  const began = beganMs(tree);
  return (
    <span>
      {name} <small>{`${day(began)} ${clock(began).slice(0, 8)}`}</small>
    </span>
  );
}

function summaryWords({ deltaMs, counts }: Comparison, tree: TraceTree, other: TraceTree): string {
  const took = `This trace took ${formatDuration(tree.totalMs)}, the other ${formatDuration(other.totalMs)}`;
  const delta =
    Math.abs(deltaMs) < other.totalMs * 0.02
      ? 'about the same'
      : `${formatDuration(Math.abs(deltaMs))} ${deltaMs > 0 ? 'more' : 'less'}`;
  const errors = tree.errorCount - other.errorCount;
  const failed =
    errors === 0 ? '' : ` It has ${formatCount(Math.abs(errors))} ${errors > 0 ? 'more' : 'fewer'} failed spans.`;
  const same = counts.added + counts.removed + counts.slower + counts.faster === 0 ? ' They are alike.' : '';
  return `${took}: ${delta}.${failed}${same}`;
}

/** What explains the difference: own time, so that nothing is told twice. */
function Reasons({ compared: { reasons } }: { compared: Comparison }) {
  if (reasons.length === 0) return null;
  return (
    <p>
      Most of it is own time of{' '}
      {reasons.map((pair, index) => (
        <span key={rowKey(pair)}>
          {index > 0 && ', '}
          <b>{pair.service}</b> {pair.name} <Delta ms={pair.deltaSelfMs} />
        </span>
      ))}
      .
    </p>
  );
}

const VERDICTS: Record<Exclude<Verdict, 'same'>, string> = {
  added: 'only here',
  removed: 'only in the other',
  slower: 'slower here',
  faster: 'faster here',
};

function Counts({ counts }: { counts: Record<Verdict, number> }) {
  return (
    <span className={classes.counts}>
      {(Object.keys(VERDICTS) as (keyof typeof VERDICTS)[]).map((verdict) => (
        <span key={verdict} data-verdict={verdict}>
          <b>{formatCount(counts[verdict])}</b> {VERDICTS[verdict]}
        </span>
      ))}
      <span>
        <b>{formatCount(counts.same)}</b> alike
      </span>
    </span>
  );
}

function Delta({ ms }: { ms: number }) {
  return (
    <b className={classes.delta} data-more={ms > 0}>
      {ms > 0 ? '+' : '−'}
      {formatDuration(Math.abs(ms))}
    </b>
  );
}

interface RowProps {
  pair: Pair;
  most: number;
  traceId: string;
  other: string;
}

function Row({ pair, most, traceId, other }: RowProps) {
  const { a, b, verdict } = pair;
  const failed = (b?.errors ?? 0) - (a?.errors ?? 0);
  return (
    <div className={classes.row} role="listitem" data-verdict={verdict} data-testid="pair">
      <span
        className={classes.name}
        style={{ paddingLeft: Math.min(pair.depth, 14) * 12 }}
        title={`${pair.service} ${pair.name}`}
      >
        <b>{pair.service}</b> {pair.name}
      </span>
      <SideBar side={a} most={most} traceId={other} />
      <SideBar side={b} most={most} traceId={traceId} />
      <span className={classes.verdict}>
        {failed > 0 && (
          <span className={classes.failed}>
            <IconAlertOctagonFilled size={12} aria-hidden /> fails here
          </span>
        )}
        {failed < 0 && 'fails only in the other '}
        {verdict === 'same' ? (
          failed === 0 && <span className="dim">alike</span>
        ) : (
          <>
            <Delta ms={pair.deltaMs} /> {VERDICTS[verdict]}
          </>
        )}
        {a && b && a.count !== b.count && (
          <span className="dim">
            {' '}
            {formatCount(b.count)} instead of {formatCount(a.count)} calls
          </span>
        )}
      </span>
    </div>
  );
}

function SideBar({ side, most, traceId }: { side: Pair['a']; most: number; traceId: string }) {
  const [address] = useAddress();
  if (!side) return <span className={classes.none}>–</span>;
  return (
    <Link
      to="/trace/$traceId"
      params={{ traceId }}
      search={{ ...timeWords(address), span: side.first.span.spanId }}
      className={classes.side}
      title="Open it in its trace"
    >
      <i style={{ width: `${(side.durationMs / most) * 100}%` }} data-error={side.errors > 0} />
      <b>{formatDuration(side.durationMs)}</b>
      {side.count > 1 && <small>{formatCount(side.count)}×</small>}
    </Link>
  );
}
