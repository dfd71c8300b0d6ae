import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';

/** Every word the address bar may hold. What a page shows follows from these alone, so any view can be shared as a link. */
export interface Address {
  /** Time range, see `time/range.ts`; the seconds between automatic refreshes. */
  from?: string;
  to?: string;
  refresh?: string;
  /** Boards: the time that is shown, where it is not the board's own. */
  shown?: string;
  /** The query of the page's language. */
  q?: string;
  /** Logs: `1` to follow new rows; `1` to break long lines; `old` for the oldest first; the columns; `off` without the fields at the left. */
  live?: string;
  wrap?: string;
  order?: string;
  cols?: string;
  fields?: string;
  /** Logs: the row that a link opens, see `pages/logs/share.ts`. */
  line?: string;
  /**
   * Logs: `json` or `patterns`. Traces: `differs` or `flame`. One trace: `flame` or `compare`. Metrics: `chart`, `table` or `explain`;
   * the business service whose metrics the list shows. Catalogue: which entries are listed, or `unclaimed`.
   */
  view?: string;
  business_service?: string;
  /** Metrics: letters of queries that are switched off; `off` when no exemplars are wanted. */
  off?: string;
  exemplars?: string;
  /** Metrics: how the first query is drawn. */
  unit?: string;
  draw?: string;
  scale?: string;
  /** Metrics: the queries after the first, by letter: `q.b`, `unit.b`. See `pages/metrics/queries.ts`. */
  [word: `${'q' | 'unit' | 'draw' | 'scale'}.${string}`]: string | undefined;
  /** Traces and drafts: how many at most. Traces: parts of a search in links of before there was TraceQL. */
  limit?: string;
  service?: string;
  tags?: string;
  min?: string;
  max?: string;
  /** One trace: the selected span; the trace it is compared with. */
  span?: string;
  with?: string;
  /** Quarantine, scorecard: whose alone. */
  team?: string;
  /** Map: how finely it is drawn, what is folded or unfolded besides; the moment, milliseconds; what is looked at. */
  level?: string;
  flip?: string;
  at?: string;
  node?: string;
  edge?: string;
  /** Map: what its colours tell: `errors`, `latency` or `traffic`. Catalogue: `incomplete` for what lacks something. */
  show?: string;
  /** Map: around whom alone it is drawn, and which way: `near`, `up` or `down`. Service page and catalogue: the kind of what is shown. */
  focus?: string;
  reach?: string;
  kind?: string;
  /** Drafts: the pipeline or contract in force that it began from; how far back records are taken; whom a contract is for. */
  of?: string;
  last?: string;
  for?: string;
}

export type SetAddress = (patch: Address, options?: { replace?: boolean }) => void;

/** The words as plain strings: no JSON in the address, so that a query reads there as it reads in the editor. */
export function parseAddress(search: string): Address {
  return Object.fromEntries(new URLSearchParams(search));
}

export function printAddress(address: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(address))
    if (typeof value === 'string' && value !== '') params.set(name, value);
  const text = params.toString();
  return text ? `?${text}` : '';
}

/** The part of an address that stays when another page is opened. */
export function timeWords({ from, to, refresh }: Address): Address {
  return { from, to, refresh };
}

export function useAddress(): [Address, SetAddress] {
  const address: Address = useSearch({ strict: false });
  const navigate = useNavigate();
  const set = useCallback<SetAddress>(
    (patch, options) => {
      void navigate({ to: '.', search: (old: Address) => ({ ...old, ...patch }), replace: options?.replace ?? false });
    },
    [navigate],
  );
  return [address, set];
}
