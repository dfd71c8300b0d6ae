import { Button } from '@mantine/core';
import { IconFilter, IconFlask } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fetchPipelines, type InForce, type Pipeline } from '../../api/pipelines';
import { timeWords, useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { Copy } from '../../status/Copy';
import { Verdict } from '../../status/Verdict';
import { useTime } from '../../time/useTime';
import classes from './Pipelines.module.css';
import { StageList } from './StageList';
import { TEMPLATE } from './template';
import { conditionOf, counted, deeds, verdict, whose } from './words';

/** What is done to log records before they are stored, and how often it was. */
export default function Pipelines() {
  const { nowMs, manual } = useTime();
  const pipelines = useQuery({
    queryKey: ['pipelines', nowMs, manual],
    queryFn: ({ signal }) => fetchPipelines(signal),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Answer query={pipelines}>{(found) => <Shown found={found} />}</Answer>
      </div>
    </div>
  );
}

function Shown({ found }: { found: InForce }) {
  const [address] = useAddress();
  const { nowMs } = useTime();
  const { tone, title, text } = verdict(found, nowMs);
  return (
    <>
      <Verdict
        icon={IconFilter}
        tone={tone}
        title={title}
        aside={
          <Link to="/pipelines/try" search={timeWords(address)}>
            Try a draft
          </Link>
        }
      >
        <p className="dim">{text}</p>
      </Verdict>
      {found.pipelines.length === 0 && <First />}
      {found.pipelines.length > 1 && (
        <p className={classes.order}>
          A record goes through all that are for it, from the first to the last of this list.
        </p>
      )}
      {found.pipelines.map((pipeline) => (
        <Card key={pipeline.name} pipeline={pipeline} />
      ))}
    </>
  );
}

function Card({ pipeline }: { pipeline: Pipeline }) {
  const [address] = useAddress();
  const { name, about, file, records, stages, counts } = pipeline;
  const condition = conditionOf(pipeline.when);
  return (
    <article className={classes.card} data-testid="pipeline">
      <div className={classes.head}>
        <div>
          <h2>{name}</h2>
          {about && <p>{about}</p>}
          <p className="dim">
            {whose(pipeline)}
            {condition && (
              <>
                {' '}
                where <code>{condition}</code>
              </>
            )}{' '}
            · <code title={file}>{file.split('/').slice(-3).join('/')}</code>
          </p>
          {deeds('match', counts).map(({ says }) => (
            <p key={says} className={classes.trouble}>
              Whether they are meant could not be told: {says}
            </p>
          ))}
        </div>
        <div className={classes.side}>
          <strong>{records ? `${counted(records, 'record')} through` : 'No record yet'}</strong>
          <Button
            variant="default"
            leftSection={<IconFlask size={14} />}
            renderRoot={(props: object) => (
              <Link {...props} to="/pipelines/try" search={{ ...timeWords(address), of: name }} />
            )}
          >
            Try a change
          </Button>
        </div>
      </div>
      <StageList stages={stages} did={({ stage }) => deeds(stage, counts)} ran={records > 0} />
    </article>
  );
}

function First() {
  const [address] = useAddress();
  return (
    <section className={classes.first} data-testid="first-pipeline">
      <h2>How to begin</h2>
      <p>
        A pipeline is a file in the folder <code>pipelines</code> of your catalogue in git. This one hides passwords,
        payment cards and e-mail addresses in everybody&apos;s records, and drops health checks:
      </p>
      <pre>{TEMPLATE}</pre>
      <div className={classes.actions}>
        <Button
          leftSection={<IconFlask size={14} />}
          renderRoot={(props: object) => <Link {...props} to="/pipelines/try" search={timeWords(address)} />}
        >
          Try it on your records
        </Button>
        <Copy text={TEMPLATE} label="Copy it" />
      </div>
      <p className="dim">
        Trying stores and drops nothing. It comes into force once it is committed as <code>pipelines/first.yaml</code>{' '}
        and Tyto has read the catalogue again.
      </p>
    </section>
  );
}
