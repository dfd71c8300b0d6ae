import type { ComponentScore, Figures, Maturity, Standing, Summary, Verdict } from '../../api/scorecard';
import { formatCount, formatPercent } from '../../format/units';

const components = (count: number) => `${formatCount(count)} ${count === 1 ? 'component' : 'components'}`;

/** The sentences on top: where all of it stands. */
export function verdict(all: Summary, levels: Maturity[], whom: string): { title: string; text: string } {
  const level = levels.find((each) => each.level === all.level);
  const judged = all.components - all.withoutData;
  const spread = levels
    .map(({ name }, index) => [all.atLevel[index] ?? 0, name] as const)
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${formatCount(count)} ${name.toLowerCase()}`)
    .join(', ');
  const silent = all.withoutData
    ? ` Of ${components(all.withoutData)} too little came to judge: that is no verdict, for good or bad.`
    : '';
  if (!level)
    return {
      title: `${whom}: not enough data yet`,
      text: `${components(all.components)}, and too little came of them.`,
    };
  return {
    title: `${whom}: level ${level.level} of ${levels.length}, ${level.name}`,
    text: `${level.means}. It is the level of whoever is furthest behind among ${components(judged)}: ${spread}.${silent}`,
  };
}

export function percent(ratio: number | undefined): string {
  return ratio === undefined ? '–' : formatPercent(Math.floor(ratio * 1000) / 1000);
}

export function ratio(value: number | undefined): string {
  return value === undefined ? '–' : value.toFixed(1);
}

export function levelName(level: number | undefined, levels: Maturity[]): string {
  return levels.find((each) => each.level === level)?.name ?? 'Not enough data';
}

/** What is not so of what the next level asks for. */
export function lacks({ level, verdicts }: ComponentScore): Verdict[] {
  return level === undefined ? [] : verdicts.filter((each) => each.level === level + 1 && each.met === false);
}

/** `logs · traces · metrics`, those that came. */
export function signals({ figures }: Standing): string {
  const { logs, spans, points } = figures;
  const there = [logs > 0 && 'logs', spans > 0 && 'traces', points > 0 && 'metrics'].filter(Boolean);
  return there.length ? there.join(' · ') : 'nothing';
}

/** Of everything that came the part that belongs to nobody; undefined when nothing does. */
export function unassignedWords(unassigned: Figures, all: Figures): string | undefined {
  const sum = ({ logs, spans, points }: Figures) => logs + spans + points;
  const [nobody, somebody] = [sum(unassigned), sum(all)];
  if (nobody === 0) return undefined;
  const share = nobody / (nobody + somebody);
  return `${share < 0.001 ? 'under 0.1 %' : percent(share)} of all records belong to nobody, so they are in no team's figures`;
}
