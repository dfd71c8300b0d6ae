import { Button, Switch, Tooltip } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { logLabels, logLabelValues } from '../../api/loki';
import { useAddress } from '../../app/address';
import { useEscape } from '../../app/useKeys';
import { logql } from '../../editor/logql';
import { QueryBar } from '../../editor/QueryBar';
import { useQueryText } from '../../editor/useQueryText';
import { formatCount } from '../../format/units';
import { Empty } from '../../status/Empty';
import { Busy, Loading } from '../../status/Loading';
import { Problem } from '../../status/Problem';
import { rangePhrase, toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { isMetricQuery } from './edit';
import { Histogram } from './Histogram';
import { LogMetric } from './LogMetric';
import { LogRows } from './LogRows';
import classes from './Logs.module.css';
import { ALL_LOGS } from './selector';
import { joined, useLive } from './useLive';
import { PAGE_ROWS, useLogRows } from './useLogRows';

const COMPLETION_KEPT_MS = 60_000;

export default function Logs() {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const { query, draft, setDraft, run } = useQueryText(ALL_LOGS);
  const metric = isMetricQuery(query);
  const live = address.live === '1' && !metric;
  const wrap = address.wrap === '1';
  const language = useLogql();

  const { answer, rows } = useLogRows(query, time.range, time.manual, !metric);
  const newer = useLive(live, query, time.range.endMs, time.manual);
  const all = useMemo(() => joined(newer.rows, rows), [newer.rows, rows]);
  const [openKey, setOpenKey] = useState<string>();
  const toggle = useCallback((key: string) => setOpenKey((old) => (old === key ? undefined : key)), []);
  useEscape(() => setOpenKey(undefined));

  return (
    <div className={classes.page}>
      <QueryBar
        draft={draft}
        onDraft={setDraft}
        onRun={() => run()}
        language={language}
        label="LogQL"
        placeholder={'{business_service="video-playback"} |= "error"'}
        running={answer.isFetching && !answer.isFetchingNextPage && !live}
      >
        <Tooltip label={live ? 'Stop following' : 'Follow new rows'}>
          <Button
            size="sm"
            h={33}
            variant={live ? 'filled' : 'default'}
            leftSection={live ? <IconPlayerPause size={14} /> : <IconPlayerPlay size={14} />}
            onClick={() => setAddress({ live: live ? undefined : '1' }, { replace: true })}
            aria-pressed={live}
            disabled={metric}
            data-testid="live"
          >
            Live
          </Button>
        </Tooltip>
      </QueryBar>
      {metric ? (
        <LogMetric query={query} />
      ) : (
        <>
          {/* One mistake in a query is told once: where the rows would be. */}
          {!answer.isError && <Histogram query={query} live={live} />}
          <div className={classes.toolbar}>
            <span data-testid="row-count">
              {countText(all.length, rows.length < PAGE_ROWS || !answer.hasNextPage, live)}
            </span>
            {newer.behind && (
              <span className={classes.behind}>
                Rows are missing here: more came at once than live takes. Refresh, or narrow the query.
              </span>
            )}
            <Switch
              label="Break long lines"
              checked={wrap}
              onChange={() => setAddress({ wrap: wrap ? undefined : '1' }, { replace: true })}
              ml="auto"
            />
          </div>
          {newer.error !== undefined && <Problem error={newer.error} compact />}
          <div className={classes.rows}>
            <Busy active={answer.isFetching && !live} />
            {answer.isError && (
              <Problem
                error={answer.error}
                onRetry={() => void (rows.length ? answer.fetchNextPage() : answer.refetch())}
              />
            )}
            {answer.isPending && <Loading lines={18} height={12} />}
            {all.length > 0 && (
              <LogRows
                rows={all}
                query={query}
                wrap={wrap}
                openKey={openKey}
                onToggle={toggle}
                onQuery={(text) => run(text)}
                older={
                  answer.hasNextPage && !answer.isPlaceholderData
                    ? { load: () => void answer.fetchNextPage(), loading: answer.isFetchingNextPage }
                    : undefined
                }
              />
            )}
            {answer.isSuccess && all.length === 0 && <NoRows query={query} live={live} onAll={() => run(ALL_LOGS)} />}
          </div>
        </>
      )}
    </div>
  );
}

/** The language with completion over the range that shows. It stays one object: a new one would rebuild the editor under the typing hands. */
function useLogql() {
  const { startMs, endMs } = useTime().range;
  const range = useRef({ startNs: '', endNs: '' });
  useEffect(() => {
    range.current = { startNs: toNs(startMs), endNs: toNs(endMs) };
  }, [startMs, endMs]);
  return useMemo(() => {
    const asked = new Map<string, { at: number; answer: Promise<string[]> }>();
    const once = (key: string, ask: () => Promise<string[]>) => {
      const known = asked.get(key);
      if (known && Date.now() - known.at < COMPLETION_KEPT_MS) return known.answer;
      // Completion is a help only: when the server cannot give it, typing goes on without it.
      const answer = ask().catch(() => {
        asked.delete(key);
        return [];
      });
      asked.set(key, { at: Date.now(), answer });
      return answer;
    };
    return logql({
      names: () => once('', () => logLabels(range.current)),
      values: (name) => once(name, () => logLabelValues(name, range.current)),
    });
  }, []);
}

function countText(count: number, whole: boolean, live: boolean): string {
  if (count === 0) return live ? 'Waiting for rows' : '';
  const rows = `${formatCount(count)} ${count === 1 ? 'row' : 'rows'}`;
  if (live) return `${rows}, following`;
  return whole ? rows : `The newest ${rows}`;
}

function NoRows({ query, live, onAll }: { query: string; live: boolean; onAll: () => void }) {
  const time = useTime();
  return (
    <Empty
      title={live ? 'No rows yet' : 'No log rows match'}
      hint={
        <>
          Asked for <code>{query}</code> in {rangePhrase(time.text, time.nowMs)}.{' '}
          {live ? 'New rows will appear here.' : 'Widen the time range, or ask for less.'}
        </>
      }
    >
      {!live && (
        <>
          <Button variant="default" onClick={() => time.setRange({ from: 'now-1d', to: 'now' })}>
            Look at the last 24 hours
          </Button>
          {query !== ALL_LOGS && (
            <Button variant="default" onClick={onAll}>
              Show all logs
            </Button>
          )}
        </>
      )}
    </Empty>
  );
}
