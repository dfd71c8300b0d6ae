import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fetchSenders, type Sender } from '../../api/catalogue';
import { timeWords, useAddress } from '../../app/address';
import { clock, day } from '../../format/time';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import classes from './Catalogue.module.css';
import { sentWords, snippet } from './words';

/** Who sends and is nobody's, each with what to write so that it gets an owner. */
export function SenderList() {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const answer = useQuery({
    queryKey: ['senders', startMs, endMs, time.manual],
    queryFn: ({ signal }) => fetchSenders(startMs / 1000, endMs / 1000, signal),
    placeholderData: keepPreviousData,
  });
  const phrase = rangePhrase(time.text, time.nowMs);
  return (
    <div className={classes.senders}>
      <Answer
        query={answer}
        empty={({ senders }) =>
          senders.length ? null : (
            <Empty title="Everything has an owner" hint={`In ${phrase}, every record belonged to somebody.`} />
          )
        }
      >
        {({ senders, leftOut }) => (
          <>
            <p className="dim">
              In {phrase}, records of {senders.length === 1 ? 'one sender' : `${senders.length + leftOut} senders`}{' '}
              belonged to nobody. They are kept and can be asked for. A rule in <code>omd.yaml</code> gives those that
              come from then on an owner.
            </p>
            {senders.map((sender) => (
              <SenderCard key={`${sender.attribute}=${sender.value}`} sender={sender} />
            ))}
            {leftOut > 0 && <p className="dim">{leftOut} smaller ones are not told.</p>}
          </>
        )}
      </Answer>
    </div>
  );
}

function SenderCard({ sender }: { sender: Sender }) {
  const [address] = useAddress();
  const { attribute, value, lastMs, rule, claimedBy, looksLike } = sender;
  const entry = (path: string) => (
    <Link to="/catalogue/$path" params={{ path }} search={timeWords(address)}>
      {path}
    </Link>
  );
  return (
    <article className={classes.card} data-testid="sender">
      <h2>{value || 'Senders that say no name'}</h2>
      <p className="dim">
        {attribute && <>known by {attribute} · </>}
        {sentWords(sender)}, last {day(lastMs)} {clock(lastMs).slice(0, 8)}
      </p>
      {claimedBy ? (
        <p>The catalogue in force claims it for {entry(claimedBy)}: these records came before that rule.</p>
      ) : attribute ? (
        <>
          <p>
            {looksLike ? (
              <>
                It is nearly called as {entry(looksLike)}. If that is what it is, add <code>{rule}</code> to its{' '}
                <code>match</code>. Else it is a component of its own:
              </>
            ) : (
              <>
                Below the service that it is a part of, in that team&apos;s <code>omd.yaml</code>:
              </>
            )}
          </p>
          <pre>{snippet(sender)}</pre>
        </>
      ) : (
        <p>
          No rule can know these apart: their records name no program, workload, job or host. Set{' '}
          <code>service.name</code> where they are sent.
        </p>
      )}
    </article>
  );
}
