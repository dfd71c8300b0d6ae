import { Button, TextInput } from '@mantine/core';
import { IconAlertOctagon } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { searchTraces, type TraceSummary } from '../../api/tempo';
import { useDraft } from '../../editor/useDraft';
import { clock } from '../../format/time';
import { formatDuration } from '../../format/units';
import { printConditions } from '../traces/traceql';
import classes from './Compare.module.css';
import { mainRoot } from './critical';
import { beganMs, type TraceTree } from './tree';

/** How far before and after this trace others of its kind are looked for. */
const AROUND_SECONDS = 3600;
const FOUND_MAX = 200;

interface Props {
  traceId: string;
  tree: TraceTree;
  chosen: string;
  onChoose: (traceId: string) => void;
}

/** Other traces that began with the same operation: the usual one first, since it shows what is unusual here. */
export function Alike({ traceId, tree, chosen, onChoose }: Props) {
  const [typed, setTyped] = useDraft(chosen);
  const root = mainRoot(tree)?.span;
  const at = Math.floor(beganMs(tree) / 1000);
  const q = printConditions([
    { name: 'rootServiceName', op: '=', value: { kind: 'string', text: root?.service ?? '' } },
    { name: 'rootName', op: '=', value: { kind: 'string', text: root?.name ?? '' } },
  ]);
  const found = useQuery({
    queryKey: ['alike', q, at],
    queryFn: ({ signal }) =>
      searchTraces({ q, limit: FOUND_MAX, start: at - AROUND_SECONDS, end: at + AROUND_SECONDS }, signal),
    staleTime: 60_000,
  });
  const choices = useMemo(() => choicesOf(found.data?.traces ?? [], traceId), [found.data, traceId]);
  return (
    <div className={classes.alikes} data-testid="alike">
      <span>
        Compare with
        <small className="dim">
          {found.isError
            ? `Others of its kind cannot be asked for: ${found.error.message}`
            : found.isPending
              ? 'Looking for others of its kind …'
              : choices.length === 0
                ? `No other ${root?.service ?? ''} ${root?.name ?? ''} within an hour.`
                : `${root?.service ?? ''} ${root?.name ?? ''}, within an hour`}
        </small>
      </span>
      {choices.map(({ what, trace }) => (
        <Button
          key={what}
          size="compact-sm"
          variant={trace.traceId === chosen ? 'filled' : 'default'}
          aria-pressed={trace.traceId === chosen}
          leftSection={trace.errorCount ? <IconAlertOctagon size={13} aria-label="failed" /> : undefined}
          title={`${clock(trace.startMs)} ${trace.traceId}`}
          onClick={() => onChoose(trace.traceId)}
        >
          {what}: {formatDuration(trace.durationMs)}
        </Button>
      ))}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onChoose(typed.trim().toLowerCase());
        }}
      >
        <TextInput
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          placeholder="or the id of a trace"
          aria-label="The id of the trace to compare with"
          error={/^[0-9a-f]{0,32}$/i.test(typed.trim()) ? undefined : 'An id has the digits 0 to 9 and a to f'}
          className={classes.id}
        />
      </form>
    </div>
  );
}

interface Choice {
  what: string;
  trace: TraceSummary;
}

/** The usual one, the fastest and the slowest that did not fail, and the newest that did. */
export function choicesOf(traces: TraceSummary[], without: string): Choice[] {
  const others = traces.filter((trace) => trace.traceId !== without);
  const good = others.filter((trace) => !trace.errorCount).sort((a, b) => a.durationMs - b.durationMs);
  const failed = others.find((trace) => trace.errorCount);
  const choices: [string, TraceSummary | undefined][] = [
    ['A usual one', good[Math.floor(good.length / 2)]],
    ['The fastest', good[0]],
    ['The slowest', good.at(-1)],
    ['One that failed', failed],
  ];
  const seen = new Set<string>();
  return choices.flatMap(([what, trace]) => {
    if (!trace || seen.has(trace.traceId)) return [];
    seen.add(trace.traceId);
    return [{ what, trace }];
  });
}
