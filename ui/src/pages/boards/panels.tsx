import { IconArrowDownRight, IconArrowUpRight, IconEqual } from '@tabler/icons-react';
import type { Board, FeedTile, FlowTile, NumberTile } from '../../api/boards';
import { nsToMs } from '../../format/time';
import classes from './Boards.module.css';
import { ago, compare, flowSteps, formatCount, unitWord, withUnit } from './words';

const WAYS = { up: IconArrowUpRight, down: IconArrowDownRight, same: IconEqual };

export function NumberPanel({ tile, range }: { tile: NumberTile; range: Board['range'] }) {
  const compared = compare(tile, range);
  const Way = compared && WAYS[compared.way];
  return (
    <>
      <p className={classes.number}>
        {tile.value === undefined ? (
          <span className={classes.nothing}>nothing yet</span>
        ) : (
          <>
            <strong data-testid="number">{formatCount(tile.value)}</strong>{' '}
            {tile.unit && <span className={classes.unit}>{unitWord(tile.value, tile.unit)}</span>}
          </>
        )}
      </p>
      {compared && Way && (
        <p className={classes.compared} data-news={compared.news}>
          <Way size={16} stroke={2} aria-hidden />
          {compared.text}
        </p>
      )}
    </>
  );
}

export function FlowPanel({ tile }: { tile: FlowTile }) {
  return (
    <ol className={classes.flow}>
      {flowSteps(tile).map((step) => (
        <li key={step.name}>
          <div className={classes.stepHead}>
            <span>{step.name}</span>
            <strong>{step.value === undefined ? 'nothing yet' : withUnit(step.value, tile.unit)}</strong>
          </div>
          <div className={classes.track}>
            <div className={classes.bar} style={{ width: `${step.share * 100}%` }} />
          </div>
          <span className={classes.small}>{step.text}</span>
        </li>
      ))}
    </ol>
  );
}

export function FeedPanel({ tile, nowMs }: { tile: FeedTile; nowMs: number }) {
  if (!tile.entries.length) return <p className={classes.nothing}>nothing yet</p>;
  // Of events at one instant with one text only the number tells them apart.
  const seen = new Map<string, number>();
  return (
    <ol className={classes.feed}>
      {tile.entries.map(({ unixNano, text }) => {
        const key = `${unixNano} ${text}`;
        const count = (seen.get(key) ?? 0) + 1;
        seen.set(key, count);
        const ms = nsToMs(unixNano);
        return (
          <li key={`${key} ${count}`}>
            <time dateTime={new Date(ms).toISOString()} title={new Date(ms).toLocaleString()}>
              {ago(ms, nowMs)}
            </time>
            <span>{text}</span>
          </li>
        );
      })}
    </ol>
  );
}
