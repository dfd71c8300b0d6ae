import { SegmentedControl } from '@mantine/core';
import { IconAlertTriangle, IconArrowLeft } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect } from 'react';
import { fetchBoard, fetchBoards, type Board as Shown, type Tile } from '../../api/boards';
import { useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import classes from './Boards.module.css';
import { ChartPanel } from './ChartPanel';
import { FeedPanel, FlowPanel, NumberPanel } from './panels';
import { ownSpan, rangeOf, SPANS, spansOf, startOf, timeWords, type Span } from './words';

const DOUBTS_MAX = 2;

/** One board, asked for again and again while somebody looks. */
export default function Board() {
  const { name } = useParams({ from: '/boards/$name' });
  const [address, setAddress] = useAddress();
  const chosen = SPANS.find(({ span }) => span === address.shown)?.span;
  const boards = useQuery({ queryKey: ['boards'], queryFn: ({ signal }) => fetchBoards(signal), staleTime: 60_000 });
  const summary = boards.data?.find((board) => board.name === name);
  const range = chosen ? rangeOf(chosen) : summary?.range;
  const board = useQuery({
    queryKey: ['board', name, range],
    // The words beside the numbers are those of the time that was asked for, also while another one is on its way.
    queryFn: async ({ signal }) => {
      const start = range === undefined ? undefined : startOf(range, new Date());
      const found = await fetchBoard(name, start, undefined, signal);
      return { ...found, shown: range ?? found.range };
    },
    // A board that is not in the list is asked for all the same: the server says that there is none.
    enabled: boards.isFetched,
    placeholderData: keepPreviousData,
    refetchInterval: (query) => (query.state.data?.refreshSeconds ?? 10) * 1000,
  });
  const title = board.data?.title;
  useEffect(() => {
    if (title) document.title = `${title} · Tyto`;
  }, [title]);
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Link to="/boards" className={classes.back}>
          <IconArrowLeft size={15} aria-hidden /> All boards
        </Link>
        <Answer query={board}>
          {(found) => (
            <>
              <header className={classes.boardHead}>
                <div>
                  <h1>{found.title}</h1>
                  <p className="dim">
                    {found.about}
                    {found.about && ' · '}
                    <span data-testid="board-time">{timeWords(found.shown)}</span>
                  </p>
                </div>
                <div className={classes.controls}>
                  <span className={classes.live} data-state={board.isError ? 'late' : 'live'}>
                    {board.isError ? 'not up to date' : 'live'}
                  </span>
                  <SegmentedControl
                    size="xs"
                    aria-label="The time that the board shows"
                    data={SPANS.map(({ span, label }) => ({ value: span, label }))}
                    value={chosen ?? ownSpan(found) ?? ''}
                    onChange={(span) => setAddress({ shown: span === ownSpan(found) ? undefined : (span as Span) })}
                  />
                </div>
              </header>
              <Tiles board={found} range={found.shown} />
            </>
          )}
        </Answer>
      </div>
    </div>
  );
}

function Tiles({ board, range }: { board: Shown; range: Shown['range'] }) {
  const spans = spansOf(board.tiles.map(({ kind }) => kind));
  return (
    <div className={classes.tiles}>
      {board.tiles.map((tile, index) => (
        // Tiles have no names of their own and stay in their order.
        <section
          key={index}
          className={classes.tile}
          style={{ gridColumn: `span ${spans[index] ?? 6}` }}
          data-kind={tile.kind}
          data-testid="tile"
          aria-label={tile.title}
        >
          <h2>{tile.title}</h2>
          <TileBody tile={tile} board={board} range={range} />
          <Doubts warnings={tile.warnings} />
          {tile.about && <p className={classes.small}>{tile.about}</p>}
        </section>
      ))}
    </div>
  );
}

/** A part must not pass for the whole: plain words, and the server's own for whoever can mend it. */
function Doubts({ warnings }: { warnings: string[] }) {
  if (warnings.length === 0) return null;
  return (
    <p className={classes.doubts} data-testid="tile-doubts">
      <IconAlertTriangle size={15} aria-hidden />
      <span>
        This may not be all of it: {warnings.slice(0, DOUBTS_MAX).join('; ')}
        {warnings.length > DOUBTS_MAX && `, and ${warnings.length - DOUBTS_MAX} more`}.
      </span>
    </p>
  );
}

function TileBody({ tile, board, range }: { tile: Tile; board: Shown; range: Shown['range'] }) {
  switch (tile.kind) {
    case 'number':
      return <NumberPanel tile={tile} range={range} />;
    case 'flow':
      return <FlowPanel tile={tile} />;
    case 'feed':
      return <FeedPanel tile={tile} nowMs={board.endMs} />;
    case 'chart':
      return <ChartPanel tile={tile} startMs={board.startMs} endMs={board.endMs} />;
    case 'failed':
      return (
        <p className={classes.failed} role="alert">
          This cannot be shown: {tile.error}
        </p>
      );
  }
}
