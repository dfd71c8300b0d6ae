import { SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import type { PipelineTrial } from '../../api/pipelines';
import { Empty } from '../../status/Empty';
import { StageList } from '../pipelines/StageList';
import { conditionOf, whose } from '../pipelines/words';
import classes from './Trial.module.css';
import { RecordCard } from './RecordCard';
import { didInTrial, fateOf, fates, toldFirst, type Fate } from './words';

interface Props {
  trial: PipelineTrial;
  /** "the last hour" */
  period: string;
  /** Whether it was tried on lines that somebody pasted. */
  own: boolean;
}

/** What a pipeline would do: by stage, then record by record. */
export function PipelineAnswer({ trial: { pipeline, problems, records }, period, own }: Props) {
  const [shown, setShown] = useState<Fate>();
  if (!pipeline || problems.length)
    return <Empty title="Nothing was tried" hint="What is wrong stands below the draft, each with its place in it." />;
  const owner = whose(pipeline);
  const condition = conditionOf(pipeline.when);
  const counts = fates(records);
  const choice = (fate: Fate, label: string) => ({
    value: fate,
    label: `${label} ${counts[fate]}`,
    disabled: !counts[fate],
  });
  const chosen = toldFirst(records.filter((record) => shown === undefined || fateOf(record) === shown));
  return (
    <>
      <section className={classes.card} data-testid="trial-stages">
        <h2>What it does</h2>
        <p className="dim">
          {owner}
          {condition && (
            <>
              {' '}
              where <code>{condition}</code>
            </>
          )}
        </p>
        <StageList stages={pipeline.stages} did={(stage) => didInTrial(stage, records)} ran={records.length > 0} />
      </section>
      {records.length === 0 ? (
        own ? (
          <Empty title="There are no lines yet" hint="Paste some, each a record, and try again." />
        ) : (
          <Empty
            title={`Nothing came in ${period}`}
            hint={`${owner}: none is stored. Is the name spelled as in the catalogue? A longer time, or lines of your own, may have some.`}
          />
        )
      ) : (
        <>
          <SegmentedControl
            className={classes.filter}
            aria-label="Which records show"
            data={[
              { value: 'all', label: `All ${records.length}` },
              choice('changed', 'Changed'),
              choice('dropped', 'Dropped'),
              choice('same', 'As they were'),
            ]}
            value={shown ?? 'all'}
            onChange={(value) => setShown(value === 'all' ? undefined : (value as Fate))}
          />
          {chosen.map((record, index) => (
            <RecordCard key={index} record={record} />
          ))}
        </>
      )}
    </>
  );
}
