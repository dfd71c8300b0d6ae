import type { Breach, ContractTrial } from '../../api/contracts';
import type { PipelineTrial, RecordFields, Stage, TriedRecord } from '../../api/pipelines';
import { clock, day } from '../../format/time';
import { formatCount, formatPercent } from '../../format/units';
import { counted, droppedWords, failedWords, listed, type Deed } from '../pipelines/words';

/** How far back records are taken, as the command line has it, too. */
export const PERIODS = [
  { value: '15m', seconds: 900, label: 'the last 15 minutes' },
  { value: '1h', seconds: 3600, label: 'the last hour' },
  { value: '6h', seconds: 21_600, label: 'the last 6 hours' },
  { value: '24h', seconds: 86_400, label: 'the last 24 hours' },
  { value: '7d', seconds: 604_800, label: 'the last 7 days' },
] as const;
export const LIMITS = [20, 100, 500] as const;

export function periodOf(last: string | undefined, otherwise: string) {
  const wanted = last ?? otherwise;
  return PERIODS.find(({ value }) => value === wanted) ?? PERIODS[1];
}

export function limitOf(limit: string | undefined): number {
  return LIMITS.find((each) => `${each}` === limit) ?? LIMITS[0];
}

/** What became of a record in a trial. */
export type Fate = 'changed' | 'dropped' | 'same';

export function fateOf({ before, after, dropped }: TriedRecord): Fate {
  if (dropped || !after) return 'dropped';
  return JSON.stringify(before) === JSON.stringify(after) ? 'same' : 'changed';
}

export function fates(records: TriedRecord[]): Record<Fate, number> {
  const count: Record<Fate, number> = { changed: 0, dropped: 0, same: 0 };
  for (const record of records) count[fateOf(record)]++;
  return count;
}

/** Records of which there is something to tell come first; else they keep their order. */
export function toldFirst(records: TriedRecord[]): TriedRecord[] {
  const isTold = (record: TriedRecord) => fateOf(record) !== 'same' || record.notes.length > 0;
  return [...records.filter(isTold), ...records.filter((record) => !isTold(record))];
}

/** `2 drop` with its reason, as a line above the record says it. */
export function fateWords(record: TriedRecord): string {
  const fate = fateOf(record);
  if (fate === 'dropped') {
    const { stage = '', reason = '' } = record.dropped ?? {};
    const why = droppedWords(reason);
    return `Dropped by stage ${number(stage)}${why && `: ${why}`}`;
  }
  if (!record.matched) return 'Not meant: the condition of the whole does not hold';
  return fate === 'changed' ? 'Changed' : 'As it was';
}

const number = (stage: string) => stage.split(' ')[0] ?? stage;

/** What stages hid, or could not do, besides what shows. */
export function noteWords({ notes }: TriedRecord): Deed[] {
  return notes.map(({ stage, what, reason }): Deed => {
    if (what === 'masked') return { what: 'masked', says: `Stage ${number(stage)} hid something` };
    const where = stage === 'match' ? 'The condition of the whole' : `Stage ${number(stage)}`;
    return { what: 'failed', says: `${where} left it as it was: ${failedWords(reason)}` };
  });
}

/** What one stage did to the records of a trial. */
export function didInTrial({ stage }: Stage, records: TriedRecord[]): Deed[] {
  const dropped = records.filter((record) => record.dropped?.stage === stage).length;
  const masked = records.filter(({ notes }) =>
    notes.some((note) => note.stage === stage && note.what === 'masked'),
  ).length;
  const failed = records.flatMap(({ notes }) => notes.filter((note) => note.stage === stage && note.what === 'failed'));
  const reasons = new Map<string, number>();
  for (const { reason } of failed) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return [
    ...(dropped ? [{ what: 'dropped' as const, says: `${formatCount(dropped)} dropped` }] : []),
    ...(masked ? [{ what: 'masked' as const, says: `hid values in ${counted(masked, 'record')}` }] : []),
    ...[...reasons].map(([reason, count]) => ({
      what: 'failed' as const,
      says: `${formatCount(count)} left as they were: ${failedWords(reason)}`,
    })),
  ];
}

/** Whose the record is, and when it came, as far as it says. */
export function headOf(record: RecordFields): { owner: string; time: string } {
  const resource = (record.resource ?? {}) as RecordFields;
  const names = ['business_service', 'service', 'component'].map((level) => resource[`omd.${level}`]);
  const owner = names.filter(Boolean).join(' / ') || resource['service.name'] || '';
  return { owner: String(owner), time: String(record.timestamp ?? '') };
}

/** Lines as records: what is JSON of an object is one, every other line is the text of one. */
export function recordsOf(lines: string): unknown[] {
  const texts = lines.split('\n').filter((line) => line.trim() !== '');
  return texts.map((line): unknown => {
    if (!line.trim().startsWith('{')) return line;
    try {
      return JSON.parse(line) as unknown;
    } catch {
      return line;
    }
  });
}

interface Sentence {
  tone: 'ok' | 'warn' | 'bad' | undefined;
  title: string;
}

export function pipelineVerdict({ problems, records }: PipelineTrial): Sentence {
  if (problems.length)
    return { tone: 'bad', title: `This file cannot be used: ${counted(problems.length, 'mistake')}` };
  if (records.length === 0) return { tone: undefined, title: 'There was no record to try it on' };
  const { changed, dropped } = fates(records);
  const failed = records.filter(({ notes }) => notes.some(({ what }) => what === 'failed')).length;
  const of = `Of ${counted(records.length, 'record')}`;
  if (changed + dropped + failed === 0) return { tone: undefined, title: `${of} none would be different` };
  const parts = [
    ...(changed ? [`${formatCount(changed)} would be changed`] : []),
    ...(dropped ? [`${formatCount(dropped)} would be dropped`] : []),
    ...(failed ? [`in ${formatCount(failed)} a stage could not do its work`] : []),
  ];
  return { tone: failed ? 'warn' : 'ok', title: `${of} ${listed(parts)}` };
}

export function contractVerdict(trial: ContractTrial): Sentence {
  const { records, broken, sampled } = trial;
  if (records === 0) return { tone: undefined, title: 'There was no record to judge' };
  if (broken === 0 && sampled)
    return {
      tone: undefined,
      title: `None of the ${formatCount(records)} records that were looked at breaks the contract`,
    };
  if (broken === 0)
    return {
      tone: 'ok',
      title: `${records === 1 ? 'The one record keeps' : `All ${formatCount(records)} records keep`} the contract`,
    };
  const share = formatPercent(broken / records);
  return {
    tone: 'warn',
    title: `${formatCount(broken)} of ${counted(records, 'record')} ${broken === 1 ? 'breaks' : 'break'} the contract (${share})`,
  };
}

/** Which records were judged; `whom` is empty where they are those of whoever names the contract. */
export function judgedWords(
  { came, records, sampled, judgedFromMs, contracts }: ContractTrial,
  period: string,
  whom: string,
): string {
  const whose = whom ? `of ${whom.split('/').join(' / ')}` : `with the contract ${listed(contracts)}`;
  if (!sampled) return `Judged were all records ${whose} that came in ${period}.`;
  const from = whom ? 'that came' : 'that their business services sent';
  const how =
    judgedFromMs === undefined
      ? 'spread over that time. The share of all may differ a little.'
      : `only the newest, back to ${day(judgedFromMs)} ${clock(judgedFromMs)}: the time for a question was up. What came before was not looked at.`;
  return `Judged was a sample in ${period}: ${formatCount(records)} records ${whose}, of ${formatCount(came)} ${from}, ${how}`;
}

/** What the draft would do to the records that break one rule, behind whose they are. */
export function outcomeWords({ observed, quarantined, rejected }: Breach): string {
  const parts: [number, string][] = [
    [quarantined, 'set aside'],
    [rejected, 'refused'],
    [observed, 'stored and only counted'],
  ];
  const there = parts.filter(([count]) => count > 0);
  if (there.length === 1) return ` would be ${there[0]?.[1] ?? ''}`;
  const each = there.map(([count, what], index) => `${formatCount(count)} ${index ? '' : 'would be '}${what}`);
  return `: ${listed(each)}`;
}

export const brokenBy = ({ observed, quarantined, rejected }: Breach) => observed + quarantined + rejected;

/** The line of the draft at which a rule stands; undefined where it stands in another file. */
export function lineOf(at: string, file: string): number | undefined {
  const found = /^(.*):(\d+)$/.exec(at);
  return found?.[1] === file ? Number(found[2]) : undefined;
}
