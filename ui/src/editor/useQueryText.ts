import { useAddress } from '../app/address';
import { useTime } from '../time/useTime';
import { useDraft } from './useDraft';

/** The query in the address and the text being typed. Running a query that shows already asks for it again. */
export function useQueryText(whenEmpty = '') {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const query = address.q?.trim() || whenEmpty;
  const [draft, setDraft] = useDraft(query);
  const run = (text = draft) => {
    const wanted = text.trim() || whenEmpty;
    if (wanted !== query) return setAddress({ q: text.trim() || undefined });
    setDraft(query);
    time.refresh();
  };
  return { query, draft, setDraft, run };
}
