import { useState } from 'react';

/** The text being typed. It starts from the address, and follows it when the address changes by other means than typing. */
export function useDraft(committed: string): [string, (text: string) => void] {
  const [state, setState] = useState({ committed, draft: committed });
  if (state.committed !== committed) setState({ committed, draft: committed });
  return [
    state.draft,
    (draft) => {
      setState((old) => ({ ...old, draft }));
    },
  ];
}
