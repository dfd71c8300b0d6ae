import type { Address } from '../../app/address';
import { UNITS, type Unit } from '../../format/units';

/** More queries than these nobody can compare on one page. */
export const LETTERS = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'] as const;
export type Letter = (typeof LETTERS)[number];

export const DRAWS = ['lines', 'stacked', 'bars', 'heat'] as const;
export type Draw = (typeof DRAWS)[number];

/** One query as the address holds it. */
export interface Asked {
  letter: Letter;
  text: string;
  off: boolean;
  /** Undefined: the page chooses what suits the answer. */
  unit: Unit | undefined;
  draw: Draw | undefined;
  log: boolean;
}

type Word = 'q' | 'unit' | 'draw' | 'scale';

/** The first query has the plain words that links had when there was only one; the others have their letter behind a dot. */
export function wordOf(word: Word, letter: Letter): keyof Address {
  return letter === 'A' ? word : `${word}.${letter.toLowerCase()}`;
}

export function readQueries(address: Address): Asked[] {
  const off = offOf(address);
  return LETTERS.flatMap((letter) => {
    const text = address[wordOf('q', letter)]?.trim() ?? '';
    if (!text) return [];
    const unit = address[wordOf('unit', letter)];
    const draw = address[wordOf('draw', letter)];
    return {
      letter,
      text,
      off: off.has(letter),
      unit: UNITS.find((each) => each === unit),
      draw: DRAWS.find((each) => each === draw),
      log: address[wordOf('scale', letter)] === 'log',
    };
  });
}

function offOf(address: Address): Set<string> {
  return new Set((address.off ?? '').toUpperCase().split(','));
}

export function switched(address: Address, letter: Letter): Address {
  const off = offOf(address);
  if (!off.delete(letter)) off.add(letter);
  return { off: printOff(off) };
}

function printOff(off: Set<string>): string | undefined {
  return (
    LETTERS.filter((letter) => off.has(letter))
      .join(',')
      .toLowerCase() || undefined
  );
}

export function removed(address: Address, letter: Letter): Address {
  const off = offOf(address);
  off.delete(letter);
  const gone = (['q', 'unit', 'draw', 'scale'] as const).map((word) => [wordOf(word, letter), undefined]);
  return { ...(Object.fromEntries(gone) as Address), off: printOff(off) };
}

/** A copy of the query under another letter, drawn as it is; `text` is what stands in its editor. */
export function copied(address: Address, letter: Letter, to: Letter, text: string): Address {
  const kept = (['unit', 'draw', 'scale'] as const).map((word) => [wordOf(word, to), address[wordOf(word, letter)]]);
  return { ...(Object.fromEntries(kept) as Address), [wordOf('q', to)]: text };
}

/** The same way of drawing for all queries of a picture. */
export function drawn(letters: readonly Letter[], word: 'unit' | 'draw' | 'scale', value: string | undefined): Address {
  return Object.fromEntries(letters.map((letter) => [wordOf(word, letter), value]));
}

export function freeLetter(taken: readonly Letter[]): Letter | undefined {
  return LETTERS.find((letter) => !taken.includes(letter));
}
