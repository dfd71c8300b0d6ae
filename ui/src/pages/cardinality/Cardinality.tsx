import { TextInput } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { fetchCardinality, type LabelCardinality } from '../../api/cardinality';
import { timeWords, useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Verdict } from '../../status/Verdict';
import { useTime } from '../../time/useTime';
import classes from './Cardinality.module.css';
import { LabelTable } from './LabelTable';
import { Rankings } from './Rankings';
import { happened, ownerOf, queryOfOverflow, REMEDY, stateOf, verdict } from './words';

/** More labels than these are the many with few values. */
const LABELS_MAX = 500;

const TONES = { calm: 'ok', close: 'warn', overflows: 'bad' } as const;

export default function Cardinality() {
  const { nowMs, manual } = useTime();
  const labels = useQuery({
    queryKey: ['cardinality', nowMs, manual],
    queryFn: ({ signal }) => fetchCardinality(LABELS_MAX, signal),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Answer query={labels}>{(found) => <Labels labels={found} />}</Answer>
        <Rankings />
      </div>
    </div>
  );
}

function Labels({ labels }: { labels: LabelCardinality[] }) {
  const [search, setSearch] = useState('');
  const { state, title, text } = verdict(labels);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = labels.filter((each) => {
    const { name, below } = ownerOf(each);
    return words.every((word) => `${name} ${below} ${each.label}`.toLowerCase().includes(word));
  });
  return (
    <>
      <Verdict icon={state === 'calm' ? IconCircleCheck : IconAlertTriangle} tone={TONES[state]} title={title}>
        <p className="dim">{text}</p>
      </Verdict>
      {labels
        .filter((each) => stateOf(each) === 'overflows')
        .slice(0, 5)
        .map((each) => (
          <Overflow key={`${ownerOf(each).name} ${ownerOf(each).below} ${each.label}`} label={each} />
        ))}
      <section className={classes.card}>
        <div className={classes.cardHead}>
          <div>
            <h2>Who brings how many values</h2>
            <p className="dim">
              Values of each label within the last hour, by the owner who sends it. Choose one to see its metrics.
            </p>
          </div>
          {labels.length > 0 && (
            <TextInput
              ml="auto"
              w={240}
              value={search}
              onChange={(event) => setSearch(event.currentTarget.value)}
              placeholder="Search owner or label"
              aria-label="Search owner or label"
              leftSection={<IconSearch size={14} />}
              data-query
            />
          )}
        </div>
        {shown.length > 0 ? (
          <LabelTable labels={shown} />
        ) : labels.length > 0 ? (
          <Empty title={`No owner or label has "${search}" in its name`} hint="Fewer or shorter words find more." />
        ) : (
          <Empty
            title="No label has been counted yet"
            hint="Counting begins with the first metrics that arrive after a start, and is not kept over a restart."
          />
        )}
        {labels.length >= LABELS_MAX && <p className={classes.foot}>The {LABELS_MAX} labels with the most values.</p>}
      </section>
    </>
  );
}

function Overflow({ label }: { label: LabelCardinality }) {
  const [address] = useAddress();
  return (
    <article className={classes.overflow} data-testid="overflow">
      <p>{happened(label)}</p>
      <p>
        <b>What to do:</b> {REMEDY}
      </p>
      <Link to="/charts" search={{ ...timeWords(address), q: queryOfOverflow(label) }}>
        Show the metrics in which it was replaced
      </Link>
    </article>
  );
}
