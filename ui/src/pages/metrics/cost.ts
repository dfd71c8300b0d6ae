import type { Part, Scan, Stats } from '../../api/stats';
import { formatBytes, formatCount, formatDuration } from '../../format/units';

export interface Figure {
  name: string;
  value: string;
  /** What the figure is, for somebody who never saw it. */
  what: string;
}

/** The cost of an answer in one sentence: where its data came from, and what need not be read. */
export function costSentence(stats: Stats | undefined): string {
  if (!stats) return 'The server did not say what this answer cost.';
  const { scan } = stats;
  const took =
    stats.totalSeconds === undefined ? '' : ` Working it out took ${formatDuration(stats.totalSeconds * 1000)}.`;
  if (!scan) return took.trim() || 'The server gave no details.';
  const memory = scan.rowsHead > 0 ? `${rows(scan.rowsHead)} from memory` : '';
  const lake = scan.rowsLake > 0 ? `${rows(scan.rowsLake)} (${formatBytes(scan.bytes)}) from files` : '';
  const read = [memory, lake].filter(Boolean).join(' and ');
  return `${read ? `Read ${read}.` : 'Nothing had to be read.'}${skippedWords(scan)}${took}`;
}

function rows(count: number): string {
  return count === 1 ? 'one row' : `${formatCount(count)} rows`;
}

function skippedWords({ files, rowGroups }: Scan): string {
  if (files.total === 0) return '';
  const opened = ` Of ${formatCount(files.total)} files ${formatCount(files.total - files.skipped)} had to be opened`;
  const because = 'skipped, because it holds nothing of this time or these labels';
  const rest = files.skipped > 0 ? `; the rest was ${because}` : '';
  const groups =
    rowGroups.skipped > 0
      ? ` Inside them ${formatCount(rowGroups.skipped)} of ${formatCount(rowGroups.total)} parts were skipped too.`
      : '';
  return `${opened}${rest}.${groups}`;
}

/** Every figure that the answer brought; what the server did not say is left out. */
export function figuresOf(
  stats: Stats | undefined,
  tookMs: number | undefined,
  series: number,
  points: number,
): Figure[] {
  const seconds = (value: number | undefined) => value !== undefined && formatDuration(value * 1000);
  const number = (value: number | undefined) => value !== undefined && formatCount(value);
  const scan = stats?.scan;
  const all: [string, string | false | undefined, string][] = [
    ['Server time', seconds(stats?.totalSeconds), 'From the arrival of the query to its answer'],
    ['Evaluation', stats?.evalSeconds !== stats?.totalSeconds && seconds(stats?.evalSeconds), 'Of that, computing'],
    ['Round trip', tookMs !== undefined && formatDuration(tookMs), 'Until the browser had read the whole answer'],
    ['Series', formatCount(series), 'In the answer'],
    ['Points', formatCount(points), 'In the answer, all series together'],
    ['Samples', number(stats?.samples), 'Stored points that were looked at, over all steps'],
    ['Samples at once', number(stats?.samplesPeak), 'The most that were held in memory at one time'],
    ['Rows in memory', number(scan?.rowsHead), 'Recent rows looked at, for which no file was read'],
    ['Rows in files', number(scan?.rowsLake), 'Rows read from files of the lake'],
    ['Rows wanted', number(scan?.rowsWanted), 'Rows that the query could use; a row holds many points of one series'],
    ['Bytes read', scan && scan.rowsLake > 0 && formatBytes(scan.bytes), 'From files of the lake'],
    ['Files', part(scan?.files), 'Opened, of all there are'],
    ['Row groups', part(scan?.rowGroups), 'Read, of those in the opened files'],
    ['Blocks', part(scan?.blocks), 'Read, of those in the row groups'],
  ];
  return all.flatMap(([name, value, what]) => (value ? [{ name, value, what }] : []));
}

function part(of: Part | undefined): string | undefined {
  if (!of || of.total === 0) return undefined;
  return `${formatCount(of.total - of.skipped)} of ${formatCount(of.total)}`;
}
