import { useState } from 'react';

export interface Tried {
  text: string;
  /** Records to try it on, one a line; undefined: those that are stored. */
  lines?: string;
}

/** A draft as this tab keeps it over a reload of the page. */
export interface Draft extends Tried {
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
  const [draft, setDraft] = useState<Draft>(() => stored(key) ?? { text: begin });
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
