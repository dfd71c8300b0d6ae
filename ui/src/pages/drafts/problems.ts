import type { Mark } from '../../editor/Editor';

/** What is wrong with a draft: at a place of it, or with the whole or another file. */
export interface DraftProblem {
  place: { line: number; column: number } | undefined;
  what: string;
}

/** `file:line:column: what` as the server writes it; of other files than the draft the place stays in the words. */
export function problemsOf(lines: string[], file: string): DraftProblem[] {
  return lines.filter(Boolean).map((text): DraftProblem => {
    const rest = text.startsWith(`${file}:`) ? text.slice(file.length) : undefined;
    const found = rest === undefined ? undefined : /^:(\d+):(\d+): ([\s\S]*)$/.exec(rest);
    if (found) return { place: { line: Number(found[1]), column: Number(found[2]) }, what: found[3] ?? '' };
    return { place: undefined, what: rest?.replace(/^:\s*/, '') ?? text };
  });
}

/** An error that lists what is wrong with a draft; undefined of any other. */
export function refusalOf(message: string, file: string): DraftProblem[] | undefined {
  const found = /^cannot use the draft:\n([\s\S]*)$/.exec(message);
  return found?.[1] === undefined ? undefined : problemsOf(found[1].split('\n'), file);
}

export function marksOf(problems: DraftProblem[]): Mark[] {
  return problems.flatMap(({ place, what }) => (place ? [{ ...place, what }] : []));
}

/** Begins a sentence: "cannot find" is "Cannot find". */
export const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
