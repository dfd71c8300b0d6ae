import { Button, Drawer, Tooltip } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconPlayerStop, IconWaveSine } from '@tabler/icons-react';
import { useCallback, useMemo, useState } from 'react';
import type { LogRow } from '../../api/loki';
import { useAddress } from '../../app/address';
import { useEscape, usePageKeys } from '../../app/useKeys';
import { QueryBar } from '../../editor/QueryBar';
import { formatCount } from '../../format/units';
import { Empty } from '../../status/Empty';
import { Busy, Loading } from '../../status/Loading';
import { Problem } from '../../status/Problem';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { columnsOf, columnsWord } from './columns';
import { Facets } from './Facets';
import { Histogram } from './Histogram';
import { LiveRows } from './LiveRows';
import { LogMetric } from './LogMetric';
import { LogRows, type Opened } from './LogRows';
import classes from './Logs.module.css';
import { Meaning } from './Meaning';
import { PatternView } from './PatternView';
import { asWords } from './search';
import { rowOfWord } from './share';
import { Toolbar, type View } from './Toolbar';
import { useLogRows } from './useLogRows';
import { useLanguage, useSearch } from './useSearch';
import { isLogql } from './words';

const PLACEHOLDER = 'payment failed -retry "card declined" component:checkout   or LogQL';

export default function Logs() {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const language = useLanguage();
  const { search, logql, metric, draft, setDraft, run, submit } = useSearch();
  const narrow = useMediaQuery('(max-width: 1000px)', undefined, { getInitialValueInEffect: false });
  const [drawer, setDrawer] = useState(false);
  const view: View = address.view === 'json' || address.view === 'patterns' ? address.view : 'rows';
  const live = address.live === '1' && !metric && view !== 'patterns';
  const wrap = address.wrap === '1';
  const newestFirst = address.order !== 'old';
  const columns = useMemo(() => columnsOf(address.cols), [address.cols]);
  const setColumns = useCallback(
    (next: string[]) => setAddress({ cols: columnsWord(next) }, { replace: true }),
    [setAddress],
  );
  const follow = () => {
    setAddress({ live: live ? undefined : '1', line: undefined, ...(view === 'patterns' ? { view: undefined } : {}) });
    if (live) time.refresh();
  };
  const fieldsShown = narrow ? drawer : address.fields !== 'off';
  const toggleFields = () =>
    narrow ? setDrawer(!drawer) : setAddress({ fields: fieldsShown ? 'off' : undefined }, { replace: true });
  const page = useLogRows(
    logql,
    time.range,
    newestFirst ? 'backward' : 'forward',
    time.manual,
    !metric && !live && view !== 'patterns',
  );
  usePageKeys({
    f: toggleFields,
    w: () => setAddress({ wrap: wrap ? undefined : '1' }, { replace: true }),
    o: () => setAddress({ order: newestFirst ? 'old' : undefined }, { replace: true }),
    l: () => !metric && follow(),
  });
  const facets = <Facets search={search} logql={logql} onSearch={submit} />;
  const shared = { search, logql, wrap, newestFirst, columns, onSearch: submit, onColumns: setColumns };
  return (
    <div className={classes.page}>
      <QueryBar
        draft={draft}
        onDraft={setDraft}
        onRun={run}
        language={language}
        label={draft.trim() && isLogql(draft) ? 'LogQL' : 'Words'}
        name="Search"
        placeholder={PLACEHOLDER}
        running={page.answer.isFetching && !page.answer.isFetchingNextPage}
        action="Search"
      >
        <Tooltip label={live ? 'Stop following (l)' : 'Follow new rows (l)'}>
          <Button
            size="sm"
            h={33}
            w={98}
            variant={live ? 'filled' : 'default'}
            leftSection={live ? <IconPlayerStop size={14} /> : <IconWaveSine size={14} />}
            onClick={follow}
            aria-pressed={live}
            disabled={metric}
            data-testid="live"
          >
            Live
          </Button>
        </Tooltip>
      </QueryBar>
      <Meaning draft={draft} onEdit={submit} />
      {metric ? (
        <LogMetric query={logql} />
      ) : (
        <div className={classes.body}>
          {fieldsShown && !narrow && <aside className={classes.side}>{!page.answer.isError && facets}</aside>}
          <Drawer opened={narrow && drawer} onClose={() => setDrawer(false)} title="Fields" size={300} padding={0}>
            {facets}
          </Drawer>
          <div className={classes.main}>
            {/* One mistake in a query is told once: where the rows would be. */}
            {!page.answer.isError && <Histogram query={logql} />}
            <Toolbar
              logql={logql}
              view={view}
              newestFirst={newestFirst}
              wrap={wrap}
              columns={columns}
              onColumns={setColumns}
              fieldsShown={fieldsShown}
              onFields={toggleFields}
              live={live}
              count={live || view === 'patterns' ? '' : countText(page, newestFirst)}
            />
            {view === 'patterns' ? (
              <PatternView
                search={search}
                logql={logql}
                onSearch={(next) => setAddress({ q: next, view: undefined })}
              />
            ) : live ? (
              <LiveRows key={logql} {...shared} view={view} onStop={follow} />
            ) : (
              <PageRows {...shared} view={view} page={page} />
            )}
          </div>
        </div>
      )}
    </div>
  );
}

type Page = ReturnType<typeof useLogRows>;

interface PageProps {
  search: string;
  logql: string;
  view: 'rows' | 'json';
  wrap: boolean;
  newestFirst: boolean;
  columns: string[];
  onSearch: (search: string) => void;
  onColumns: (columns: string[]) => void;
  page: Page;
}

/** The rows of the range. */
function PageRows({ page, ...shared }: PageProps) {
  const { answer, rows } = page;
  const { opened, setOpened } = useOpened(rows);
  const more = answer.hasNextPage && !answer.isPlaceholderData;
  return (
    <div className={classes.rows}>
      <Busy active={answer.isFetching} />
      {answer.isError && (
        <Problem error={answer.error} onRetry={() => void (rows.length ? answer.fetchNextPage() : answer.refetch())} />
      )}
      {answer.isError && isLogql(shared.search) && (
        <Button ml={12} w="max-content" variant="default" onClick={() => shared.onSearch(asWords(shared.search))}>
          Search for it as words
        </Button>
      )}
      {answer.isPending && <Loading lines={18} height={12} />}
      {rows.length > 0 && (
        <LogRows
          key={`${shared.logql} ${shared.newestFirst}`}
          {...shared}
          rows={rows}
          opened={opened}
          onOpened={setOpened}
          foot={
            more && (
              <div className={classes.older}>
                <Button
                  variant="default"
                  onClick={() => void answer.fetchNextPage()}
                  loading={answer.isFetchingNextPage}
                >
                  Load {shared.newestFirst ? 'older' : 'newer'} rows
                </Button>
              </div>
            )
          }
        />
      )}
      {answer.isSuccess && rows.length === 0 && (
        <NoRows search={shared.search} logql={shared.logql} onAll={() => shared.onSearch('')} />
      )}
    </div>
  );
}

/** Which row is open: the one that was clicked, or at first the one that the address names. */
function useOpened(rows: LogRow[]) {
  const [address] = useAddress();
  const [opened, set] = useState<Opened | undefined | 'address'>('address');
  const setOpened = useCallback((next: Opened | undefined) => set(next), []);
  const named = useMemo(
    () => (opened === 'address' && address.line ? rowOfWord(rows, address.line) : undefined),
    [opened, rows, address.line],
  );
  useEscape(() => set(undefined));
  const shown = opened === 'address' ? named && { row: named, around: false } : opened;
  return { opened: useStable(shown), setOpened };
}

function useStable(opened: Opened | undefined): Opened | undefined {
  const { row, around } = opened ?? {};
  return useMemo(() => row && { row, around: around ?? false }, [row, around]);
}

function countText({ answer, rows }: Page, newestFirst: boolean): string {
  if (rows.length === 0) return '';
  const text = `${formatCount(rows.length)} ${rows.length === 1 ? 'row' : 'rows'}`;
  return answer.hasNextPage ? `The ${newestFirst ? 'newest' : 'oldest'} ${text}` : text;
}

function NoRows({ search, logql, onAll }: { search: string; logql: string; onAll: () => void }) {
  const time = useTime();
  return (
    <Empty
      title="No log rows match"
      hint={
        <>
          Asked for <code>{logql}</code> in {rangePhrase(time.text, time.nowMs)}. Widen the time range, or ask for less.
        </>
      }
    >
      <Button variant="default" onClick={() => time.setRange({ from: 'now-1d', to: 'now' })}>
        Look at the last 24 hours
      </Button>
      {search !== '' && (
        <Button variant="default" onClick={onAll}>
          Show all logs
        </Button>
      )}
    </Empty>
  );
}
