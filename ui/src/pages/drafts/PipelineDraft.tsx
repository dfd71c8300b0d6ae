import { Select } from '@mantine/core';
import { IconFlask } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { fetchPipelines, tryPipeline, type Pipeline } from '../../api/pipelines';
import { timeWords, useAddress } from '../../app/address';
import type { EditorHandle } from '../../editor/Editor';
import { yaml } from '../../editor/yaml';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Verdict } from '../../status/Verdict';
import { TEMPLATE } from '../pipelines/template';
import { Bench } from './Bench';
import { OwnLines } from './OwnLines';
import { PipelineAnswer } from './PipelineAnswer';
import { problemsOf, type DraftProblem } from './problems';
import { isSame, useDraft } from './useDraft';
import { LIMITS, limitOf, periodOf, PERIODS, pipelineVerdict, recordsOf } from './words';

const NO_PROBLEMS: DraftProblem[] = [];

/** What a pipeline would do, before anybody commits it. */
export default function PipelineDraft() {
  const [{ of = '' }] = useAddress();
  const inForce = useQuery({ queryKey: ['pipelines-to-draft'], queryFn: ({ signal }) => fetchPipelines(signal) });
  return (
    <Answer query={inForce}>
      {({ pipelines }) => <Drafting key={of} pipelines={pipelines} from={pipelines.find(({ name }) => name === of)} />}
    </Answer>
  );
}

function Drafting({ pipelines, from }: { pipelines: Pipeline[]; from: Pipeline | undefined }) {
  const [address, setAddress] = useAddress();
  const begin = from?.text || TEMPLATE;
  const [draft, change] = useDraft('pipeline', from?.name ?? '', begin);
  const [times, setTimes] = useState(0);
  const editor = useRef<EditorHandle>(null);
  const period = periodOf(address.last, '1h');
  const limit = limitOf(address.limit);
  const { tried, text, own = false } = draft;
  const lines = own ? (draft.lines ?? '') : undefined;
  const trial = useQuery({
    queryKey: ['pipeline-trial', from?.file, tried, times],
    enabled: tried !== undefined,
    queryFn: ({ signal }) => {
      const records = tried?.lines === undefined ? undefined : recordsOf(tried.lines);
      const lastSeconds = periodOf(tried?.period, '1h').seconds;
      return tryPipeline(
        { text: tried?.text ?? '', file: from?.file, lastSeconds, limit: tried?.limit ?? limit, records },
        signal,
      );
    },
  });
  const found = trial.data;
  const file = from?.file ?? 'pipelines/draft.yaml';
  const problems = useMemo(() => (found ? problemsOf(found.problems, file) : NO_PROBLEMS), [found, file]);
  const { tone, title } = found ? pipelineVerdict(found) : { tone: undefined, title: START };
  const name = found?.pipeline?.name ?? from?.name ?? 'first';
  const committed = from ? from.file.split('/').slice(-2).join('/') : `pipelines/${name}.yaml`;
  const records =
    lines === undefined
      ? `--against ${window.location.origin} --last ${period.value} --limit ${limit}`
      : '--input lines.ndjson';
  return (
    <Bench
      head={
        <Verdict
          icon={IconFlask}
          tone={tone}
          title={title}
          aside={
            <>
              <Link to="/pipelines" search={timeWords(address)}>
                What is in force
              </Link>
              <Link to="/quarantine/try" search={timeWords(address)}>
                Try a contract
              </Link>
            </>
          }
        >
          <p className="dim">
            {lines === undefined
              ? 'It runs over the newest records of whom it is for, as they are stored: what a pipeline hid or dropped before stays so. '
              : 'It runs over lines of your own. '}
            Nothing is stored, dropped or counted by a trial.
          </p>
        </Verdict>
      }
      draft={draft}
      isOld={tried !== undefined && !isSame(tried, { text, lines, period: period.value, limit })}
      onDraft={change}
      onTry={() => {
        change({ tried: { text, lines, period: period.value, limit } });
        setTimes(times + 1);
      }}
      running={trial.isFetching}
      language={yaml}
      label="Pipeline"
      placeholder="name: …"
      begin={begin}
      problems={problems}
      choices={
        <>
          <Select
            label="Begin from"
            w={150}
            allowDeselect={false}
            data={[
              { value: '', label: 'an example' },
              ...pipelines.map(({ name: value }) => ({ value, label: value })),
            ]}
            value={from?.name ?? ''}
            onChange={(of) => setAddress({ of: of || undefined })}
          />
          <OwnLines own={own} lines={lines ?? ''} onChange={change}>
            <Select
              label="Records of"
              w={140}
              allowDeselect={false}
              data={PERIODS.map(({ value, label }) => ({ value, label }))}
              value={period.value}
              onChange={(last) => setAddress({ last: last ?? undefined })}
            />
            <Select
              label="At most"
              w={105}
              allowDeselect={false}
              data={LIMITS.map((each) => ({ value: `${each}`, label: `${each} newest` }))}
              value={`${limit}`}
              onChange={(next) => setAddress({ limit: next ?? undefined })}
            />
          </OwnLines>
        </>
      }
      file={committed}
      command={`tyto pipeline try ${committed} ${records}`}
      editor={editor}
    >
      {tried === undefined ? (
        <Empty
          title="Each record, before and after"
          hint="shows here once the draft was tried: what is hidden or changed in it, whether it is dropped, and by which stage."
        />
      ) : (
        <Answer query={trial}>
          {(answer) => (
            <PipelineAnswer
              trial={answer}
              period={periodOf(tried.period, '1h').label}
              own={tried.lines !== undefined}
            />
          )}
        </Answer>
      )}
    </Bench>
  );
}

const START = 'Try a pipeline on records that came';
