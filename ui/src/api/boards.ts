import { asArray, asNumber, asRecord, asText, getJson } from './client';

/** A board as the gallery shows it. */
export interface BoardSummary {
  name: string;
  title: string;
  about: string;
  businessService: string;
  team: string;
  /** `today`, or seconds. */
  range: 'today' | number;
  refreshSeconds: number;
  tileCount: number;
}

export interface Board extends BoardSummary {
  startMs: number;
  endMs: number;
  tiles: Tile[];
}

interface Said {
  title: string;
  about: string;
  unit: string;
  /** Why what shows is not all, or doubtful, in the server's words. */
  warnings: string[];
}

/** Values are undefined where there is nothing to count. */
export interface NumberTile extends Said {
  kind: 'number';
  value: number | undefined;
  before: number | undefined;
  compares: boolean;
  good: 'up' | 'down' | undefined;
}
export interface FlowTile extends Said {
  kind: 'flow';
  steps: { name: string; value: number | undefined }[];
}
export interface FeedTile extends Said {
  kind: 'feed';
  entries: { unixNano: string; text: string }[];
}
export interface ChartTile extends Said {
  kind: 'chart';
  look: 'line' | 'bars' | 'area';
  stepMs: number;
  series: { name: string; points: { atMs: number; value: number }[] }[];
}
export interface FailedTile extends Said {
  kind: 'failed';
  error: string;
}
export type Tile = NumberTile | FlowTile | FeedTile | ChartTile | FailedTile;

const PATH = '/api/tyto/v1/boards';

export async function fetchBoards(signal: AbortSignal): Promise<BoardSummary[]> {
  const json = asRecord(await getJson(PATH, {}, { signal }));
  return asArray(json.boards, PATH, 'boards').map((board) => readSummary(asRecord(board)));
}

/** Of the board's own time when none is given. */
export async function fetchBoard(
  name: string,
  start: number | undefined,
  end: number | undefined,
  signal: AbortSignal,
): Promise<Board> {
  return readBoard(await getJson(`${PATH}/${encodeURIComponent(name)}`, { start, end }, { signal }));
}

export function readBoard(json: unknown): Board {
  const fields = asRecord(json);
  return {
    ...readSummary(fields),
    startMs: asNumber(fields.start_unix_ms),
    endMs: asNumber(fields.end_unix_ms),
    tiles: asArray(fields.tiles, PATH, 'tiles').map(readTile),
  };
}

function readSummary(fields: Record<string, unknown>): BoardSummary {
  const range = asText(fields.range);
  return {
    name: asText(fields.name),
    title: asText(fields.title),
    about: asText(fields.about),
    businessService: asText(fields.business_service),
    team: asText(fields.team),
    range: range === 'today' ? 'today' : Number.parseInt(range, 10),
    refreshSeconds: asNumber(fields.refresh_seconds),
    tileCount: asNumber(fields.tile_count),
  };
}

function readTile(json: unknown): Tile {
  const fields = asRecord(json);
  const said = {
    title: asText(fields.title),
    about: asText(fields.about),
    unit: asText(fields.unit),
    warnings: Array.isArray(fields.warnings) ? fields.warnings.map(asText) : [],
  };
  const list = (name: string) => (Array.isArray(fields[name]) ? fields[name] : []).map(asRecord);
  if (typeof fields.error === 'string') return { kind: 'failed', ...said, error: fields.error };
  switch (fields.kind) {
    case 'number':
      return {
        kind: 'number',
        ...said,
        value: known(fields.value),
        before: known(fields.before),
        compares: fields.compares === true,
        good: fields.good === 'up' || fields.good === 'down' ? fields.good : undefined,
      };
    case 'flow':
      return {
        kind: 'flow',
        ...said,
        steps: list('steps').map((step) => ({ name: asText(step.name), value: known(step.value) })),
      };
    case 'feed':
      return {
        kind: 'feed',
        ...said,
        entries: list('entries').map((entry) => ({ unixNano: asText(entry.unix_nano), text: asText(entry.text) })),
      };
    case 'chart':
      return {
        kind: 'chart',
        ...said,
        look: fields.look === 'bars' || fields.look === 'area' ? fields.look : 'line',
        stepMs: asNumber(fields.step_ms),
        series: list('series').map((series) => ({
          name: asText(series.name),
          points: (Array.isArray(series.points) ? series.points : []).filter(Array.isArray).map((point: unknown[]) => ({
            atMs: Number(point[0]),
            value: point[1] === null ? Number.NaN : Number(point[1]),
          })),
        })),
      };
    default:
      return { kind: 'failed', ...said, error: 'This page does not know tiles of this kind: reload it.' };
  }
}

function known(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
