import type { Answer, Metric } from '../../api/prometheus';
import { hasBuckets } from '../../charts/heat';
import type { Unit } from '../../format/units';
import type { Asked, Draw, Letter } from './queries';
import { heatUnits, showsObservations, unitOf } from './unit';

/** An answer with what was asked for. */
export interface Drawn extends Answer {
  query: string;
  start: number;
  end: number;
  step: number;
}

export interface Part {
  asked: Asked;
  drawn: Drawn;
}

/** What shares one pair of axes. */
export interface Picture {
  key: string;
  draw: Draw;
  unit: Unit;
  /** The unit that the page chose, whether or not somebody chose another. */
  unitGuessed: Unit;
  /** Heat maps: the unit of how many observations a cell has. */
  countUnit: Unit;
  log: boolean;
  /** True when exemplars lie on the value axis. */
  observes: boolean;
  parts: Part[];
}

/** Queries of one unit, drawn one way, share a picture, so that they can be compared; others get axes of their own below. */
export function picturesOf(parts: Part[], metadata: ReadonlyMap<string, Metric>): Picture[] {
  const pictures = new Map<string, Picture>();
  for (const part of parts) {
    const next = pictureOf(part, metadata);
    const known = pictures.get(next.key);
    if (known) {
      known.parts.push(part);
      known.observes &&= next.observes;
    } else pictures.set(next.key, next);
  }
  return [...pictures.values()];
}

function pictureOf(part: Part, metadata: ReadonlyMap<string, Metric>): Picture {
  const { asked, drawn } = part;
  const native = isNative(drawn);
  const buckets = native || hasBuckets(drawn.series);
  const draw = asked.draw === 'heat' && !buckets ? 'lines' : (asked.draw ?? (buckets ? 'heat' : 'lines'));
  const heat = draw === 'heat';
  const { value, count } = heatUnits(asked.text, metadata);
  // As lines, a native histogram is only how many it counted.
  const unitGuessed = heat ? value : native ? count : unitOf(asked.text, metadata);
  const unit = asked.unit ?? unitGuessed;
  const log = asked.log && draw === 'lines';
  return {
    key: heat ? `heat ${asked.letter}` : `${draw} ${unit} ${log}`,
    draw,
    unit,
    unitGuessed,
    countUnit: count,
    log,
    observes: heat || showsObservations(asked.text),
    parts: [part],
  };
}

export function isNative(answer: Answer): boolean {
  return answer.series.some((each) => each.histograms?.length);
}

/** True when all parts of a picture could be a heat map. */
export function canBeHeat(picture: Picture): boolean {
  return picture.parts.every(({ drawn }) => isNative(drawn) || hasBuckets(drawn.series));
}

export function lettersOf(picture: Picture): Letter[] {
  return picture.parts.map(({ asked }) => asked.letter);
}
