import { useMemo, useState } from 'react';
import { useAddress, type Address } from '../../app/address';
import { useTime } from '../../time/useTime';
import { copied, freeLetter, LETTERS, readQueries, removed, switched, wordOf, type Letter } from './queries';

interface Edit {
  /** The text in the address when typing began: when that changes by other means, the edit is over. */
  committed: string;
  text: string;
}

export interface Row {
  letter: Letter;
  draft: string;
  off: boolean;
  /** True while the editor holds something that has not been run. */
  changed: boolean;
}

/** The editors of the page: the queries in the address, and those being typed. */
export function useRows() {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const [edits, setEdits] = useState<Partial<Record<Letter, Edit>>>({});
  const [added, setAdded] = useState<Letter[]>([]);
  const asked = useMemo(() => readQueries(address), [address]);
  const committed = (letter: Letter) => asked.find((each) => each.letter === letter)?.text ?? '';
  const draft = (letter: Letter) => {
    const edit = edits[letter];
    return edit && edit.committed === committed(letter) ? edit.text : committed(letter);
  };
  const letters = LETTERS.filter((letter) => committed(letter) || added.includes(letter));
  const shown: Letter[] = letters.length ? letters : ['A'];
  const next = freeLetter(shown);
  const rows = shown.map((letter): Row => ({
    letter,
    draft: draft(letter),
    off: asked.some((each) => each.letter === letter && each.off),
    changed: draft(letter).trim() !== committed(letter),
  }));
  const forget = (letter: Letter) => {
    setEdits((old) => ({ ...old, [letter]: undefined }));
  };
  return {
    asked,
    rows,
    full: next === undefined,
    edit: (letter: Letter, text: string) =>
      setEdits((old) => ({ ...old, [letter]: { committed: committed(letter), text } })),
    add: () => {
      // The first editor is there without having been added; it stays when a second one comes.
      if (next) setAdded([...new Set([...added, ...shown, next])]);
    },
    remove: (letter: Letter) => {
      forget(letter);
      setAdded(added.filter((each) => each !== letter));
      setAddress(removed(address, letter));
    },
    duplicate: (letter: Letter) => {
      if (next) setAddress(copied(address, letter, next, draft(letter).trim() || committed(letter)));
    },
    toggle: (letter: Letter) => setAddress(switched(address, letter)),
    /** Asks for what stands in all editors; `texts` are put into theirs before. */
    run: (texts: Partial<Record<Letter, string>> = {}) => {
      const patch: Address = {};
      for (const letter of new Set([...shown, ...(Object.keys(texts) as Letter[])])) {
        const text = (texts[letter] ?? draft(letter)).trim();
        if (text !== committed(letter)) patch[wordOf('q', letter)] = text || undefined;
      }
      if (Object.keys(patch).length) setAddress(patch);
      else time.refresh();
    },
  };
}

export type Rows = ReturnType<typeof useRows>;
