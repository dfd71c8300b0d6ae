import { useCallback, useEffect, useMemo, useRef } from 'react';
import { logLabels, logLabelValues } from '../../api/loki';
import { useQueryText } from '../../editor/useQueryText';
import { toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { isMetricQuery } from './edit';
import { searchLanguage } from './language';
import { isLogql, toLogql } from './words';

const COMPLETION_KEPT_MS = 60_000;

/** The search in the address, in words or in LogQL, and the LogQL that it means. */
export function useSearch() {
  const { query: search, draft, setDraft, run } = useQueryText();
  const logql = useMemo(() => toLogql(search), [search]);
  const metric = useMemo(() => isMetricQuery(logql), [logql]);
  // Callbacks of rows keep their identity while somebody types.
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  const submit = useCallback((text: string) => latest.current(text), []);
  return { search, logql, metric, words: !isLogql(search), draft, setDraft, run: () => run(), submit };
}

/** Both languages with completion over the range that shows. They stay one object: new ones would rebuild the editor under the typing hands. */
export function useLanguage() {
  const { startMs, endMs } = useTime().range;
  const range = useRef({ startNs: '', endNs: '' });
  useEffect(() => {
    range.current = { startNs: toNs(startMs), endNs: toNs(endMs) };
  }, [startMs, endMs]);
  return useMemo(() => {
    const asked = new Map<string, { at: number; answer: Promise<string[]> }>();
    const once = (key: string, ask: () => Promise<string[]>) => {
      const known = asked.get(key);
      if (known && Date.now() - known.at < COMPLETION_KEPT_MS) return known.answer;
      // Completion is a help only: when the server cannot give it, typing goes on without it.
      const answer = ask().catch(() => {
        asked.delete(key);
        return [];
      });
      asked.set(key, { at: Date.now(), answer });
      return answer;
    };
    return searchLanguage({
      names: () => once('', () => logLabels(range.current)),
      values: (name) => once(name, () => logLabelValues(name, range.current)),
    });
  }, []);
}
