import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Button } from '@mantine/core';
import { searchTraces, type TraceSummary } from '../../api/tempo';
import { useAddress, type Address } from '../../app/address';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { SearchForm } from './SearchForm';
import { searchTags } from './tags';
import { TraceList } from './TraceList';
import classes from './Traces.module.css';
import { TraceScatter } from './TraceScatter';

const LIMIT = 100;
/** The most that the server gives at once. */
const LIMIT_MAX = 1000;

export default function Traces() {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const start = Math.floor(time.range.startMs / 1000);
  const end = Math.ceil(time.range.endMs / 1000);
  const tags = searchTags(address);
  const limit = Math.min(LIMIT_MAX, Number(address.limit) > 0 ? Math.floor(Number(address.limit)) : LIMIT);
  const answer = useQuery({
    queryKey: ['traces', tags, address.min, address.max, limit, start, end, time.manual],
    queryFn: ({ signal }) =>
      searchTraces({ tags, minDuration: address.min ?? '', maxDuration: address.max ?? '', limit, start, end }, signal),
    placeholderData: keepPreviousData,
  });
  const search = (words: Address) => {
    setAddress({ service: undefined, tags: undefined, min: undefined, max: undefined, ...words });
  };
  return (
    <div className={classes.page}>
      <SearchForm
        address={address}
        onSearch={(words, changed) => {
          if (changed) search(words);
          else time.refresh();
        }}
        running={answer.isFetching}
      />
      <div className={classes.answer}>
        <Answer
          query={answer}
          empty={(traces) =>
            traces.length ? null : <NoTraces tags={tags} address={address} onClear={() => search({})} />
          }
        >
          {(traces) => <Found traces={traces} limit={limit} />}
        </Answer>
      </div>
    </div>
  );
}

function Found({ traces, limit }: { traces: TraceSummary[]; limit: number }) {
  const [, setAddress] = useAddress();
  const more = Math.min(LIMIT_MAX, limit * 2);
  return (
    <>
      <TraceScatter traces={traces} />
      <TraceList traces={traces} />
      <p className={classes.foot}>
        {traces.length < limit
          ? `${traces.length} ${traces.length === 1 ? 'trace' : 'traces'}: all that match.`
          : `The newest ${traces.length} traces that match.`}{' '}
        {traces.length >= limit && limit < LIMIT_MAX && (
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => setAddress({ limit: String(more) }, { replace: true })}
          >
            Show up to {more}
          </Button>
        )}
      </p>
    </>
  );
}

function NoTraces({ tags, address, onClear }: { tags: string; address: Address; onClear: () => void }) {
  const time = useTime();
  const asked = [
    tags && <code key="tags">{tags}</code>,
    address.min && `longer than ${address.min}`,
    address.max && `shorter than ${address.max}`,
  ].filter(Boolean);
  return (
    <Empty
      title="No traces match"
      hint={
        <>
          Asked for {asked.length ? asked.map((part, index) => <span key={index}>{part} </span>) : 'every trace '} in{' '}
          {rangePhrase(time.text, time.nowMs)}. Widen the time range, or ask for less.
        </>
      }
    >
      {asked.length > 0 && (
        <Button variant="default" onClick={onClear}>
          Show all traces
        </Button>
      )}
    </Empty>
  );
}
