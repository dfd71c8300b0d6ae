import { Empty } from '../../status/Empty';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';

export function NoSeries({ query }: { query: string }) {
  const time = useTime();
  return (
    <Empty
      title="No series match"
      hint={
        <>
          Asked for <code>{query}</code> in {rangePhrase(time.text, time.nowMs)}. Check the labels in the braces, or
          widen the time range; an empty query lists every metric there is.
        </>
      }
    />
  );
}
