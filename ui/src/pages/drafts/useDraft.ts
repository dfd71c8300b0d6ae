import { useState } from 'react';

/** A text and what it was tried on: the answer to it says these, whatever was chosen since. */
export interface Tried {
  text: string;
  /** Records to try it on, one a line; undefined: those that are stored. */
  lines?: string;
  /** Of those that are stored: how far back, whose and how many. */
  period?: string;
  whom?: string;
  limit?: number;
}

/** A draft as this tab keeps it over a reload of the page. */
export interface Draft {
  text: string;
  /** What it began as. */
  begin: string;
  /** Lines of somebody's own, and whether it is tried on them. */
  lines?: string;
  own?: boolean;
  /** What was tried last; undefined: nothing was. */
  tried?: Tried;
}

const keyOf = (kind: string, of: string) => `tyto-draft-${kind}-${of}`;

function stored(key: string): Draft | undefined {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(key) ?? 'null');
    return found !== null && typeof found === 'object' && 'text' in found && typeof found.text === 'string'
      ? (found as Draft)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The draft of what is in force (`of`; empty: of nothing), which begins as `begin`. */
export function useDraft(kind: string, of: string, begin: string): [Draft, (patch: Partial<Draft>) => void] {
  const key = keyOf(kind, of);
  const [draft, setDraft] = useState<Draft>(() => {
    const held = stored(key);
    // Who changed nothing goes on with what is in force now.
    return held && held.text !== held.begin ? held : { ...held, text: begin, begin };
  });
  const change = (patch: Partial<Draft>) => {
    setDraft((old) => {
      const next = { ...old, ...patch };
      try {
        sessionStorage.setItem(key, JSON.stringify(next));
      } catch {
        // A browser that keeps nothing loses the draft on a reload, not now.
      }
      return next;
    });
  };
  return [draft, change];
}

/** Whether a trial would be the one that was made. */
export function isSame(tried: Tried, now: Tried): boolean {
  const { text, lines, period, whom, limit } = tried;
  const stored = lines === undefined;
  return (
    text === now.text &&
    lines === now.lines &&
    (!stored || (period === now.period && whom === now.whom && limit === now.limit))
  );
}
