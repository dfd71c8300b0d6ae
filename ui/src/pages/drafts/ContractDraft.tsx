import { Select } from '@mantine/core';
import { IconFlask } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { fetchEntries, type Entry } from '../../api/catalogue';
import { ApiError } from '../../api/client';
import { fetchContracts, tryContract, type Contract, type ContractTrial } from '../../api/contracts';
import { timeWords, useAddress } from '../../app/address';
import type { EditorHandle } from '../../editor/Editor';
import { json } from '../../editor/json';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Verdict } from '../../status/Verdict';
import { Bench } from './Bench';
import { ContractAnswer } from './ContractAnswer';
import { refusalOf, type DraftProblem } from './problems';
import { CONTRACT } from './template';
import { isSame, useDraft } from './useDraft';
import { contractVerdict, periodOf, PERIODS } from './words';

/** Somebody's records, as the catalogue declares them. */
const WHOM = ['business_service', 'service', 'component'];
const NO_PROBLEMS: DraftProblem[] = [];

/** What a contract would do to records that came, before it sets anything aside. */
export default function ContractDraft() {
  const [{ of = '' }] = useAddress();
  const known = useQuery({
    queryKey: ['contracts-to-draft'],
    queryFn: async ({ signal }) => {
      const [contracts, { entries }] = await Promise.all([fetchContracts(signal), fetchEntries('', signal)]);
      return { contracts, entries: entries.filter(({ kind }) => WHOM.includes(kind)) };
    },
  });
  return (
    <Answer query={known}>
      {({ contracts, entries }) => (
        <Drafting key={of} contracts={contracts} entries={entries} from={contracts.find(({ name }) => name === of)} />
      )}
    </Answer>
  );
}

/** A trial, or what is wrong with the draft. */
type Tried = { trial: ContractTrial } | { problems: DraftProblem[] };

function Drafting({
  contracts,
  entries,
  from,
}: {
  contracts: Contract[];
  entries: Entry[];
  from: Contract | undefined;
}) {
  const [address, setAddress] = useAddress();
  const begin = from?.text || CONTRACT;
  const [draft, change] = useDraft('contract', from?.name ?? '', begin);
  const [times, setTimes] = useState(0);
  const editor = useRef<EditorHandle>(null);
  const period = periodOf(address.last, '24h');
  const named = from?.namedBy.length ? 'whoever names it' : undefined;
  // A contract that nobody names is for nobody until it is said for whom.
  const whom = address.for ?? '';
  const missing =
    named || whom ? undefined : entries.length ? 'Choose for whom it is.' : 'The catalogue has nobody it could be for.';
  const file = from ? from.file : 'contracts/draft.json';
  const { tried } = draft;
  const answer = useQuery({
    queryKey: ['contract-trial', file, tried, times],
    enabled: tried !== undefined,
    queryFn: async ({ signal }): Promise<Tried> => {
      try {
        return {
          trial: await tryContract(
            {
              text: tried?.text ?? '',
              file,
              whom: tried?.whom ?? '',
              lastSeconds: periodOf(tried?.period, '24h').seconds,
            },
            signal,
          ),
        };
      } catch (error) {
        const problems = error instanceof ApiError ? refusalOf(error.what, file) : undefined;
        if (problems) return { problems };
        throw error;
      }
    },
  });
  const found = answer.data;
  const problems = useMemo(() => (found && 'problems' in found ? found.problems : NO_PROBLEMS), [found]);
  const { tone, title } =
    found === undefined
      ? { tone: undefined, title: START }
      : 'trial' in found
        ? contractVerdict(found.trial)
        : { tone: 'bad' as const, title: 'This file cannot be used' };
  const committed = from ? from.file.split('/').slice(-2).join('/') : 'contracts/draft.json';
  return (
    <Bench
      head={
        <Verdict
          icon={IconFlask}
          tone={tone}
          title={title}
          aside={
            <>
              <Link to="/quarantine" search={timeWords(address)}>
                What waits
              </Link>
              <Link to="/pipelines/try" search={timeWords(address)}>
                Try a pipeline
              </Link>
            </>
          }
        >
          <p className="dim">
            A contract says what log records look like. A trial judges records that came, stored or set aside, and says
            who would break which rule. Nothing is set aside or refused by it, and no owner is told. Records that were
            refused when they came are nowhere, and are not judged.
          </p>
        </Verdict>
      }
      draft={draft}
      isOld={tried !== undefined && !isSame(tried, { text: draft.text, whom, period: period.value })}
      onDraft={change}
      onTry={() => {
        change({ tried: { text: draft.text, whom, period: period.value } });
        setTimes(times + 1);
      }}
      missing={missing}
      running={answer.isFetching}
      language={json}
      label="Contract"
      placeholder='{"type": "object", …}'
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
              ...contracts.map(({ name: value }) => ({ value, label: value })),
            ]}
            value={from?.name ?? ''}
            onChange={(of) => setAddress({ of: of || undefined, for: undefined })}
          />
          <Select
            label="For"
            w={230}
            searchable
            allowDeselect={false}
            placeholder="Whose records are judged"
            nothingFoundMessage="Nobody in the catalogue is called so"
            data={[
              ...(named ? [{ value: '', label: named }] : []),
              ...entries.map(({ path }) => ({ value: path, label: path.split('/').join(' / ') })),
            ]}
            value={named || whom ? whom : null}
            limit={100}
            onChange={(next) => setAddress({ for: next ?? undefined })}
          />
          <Select
            label="Records of"
            w={140}
            allowDeselect={false}
            data={PERIODS.map(({ value, label }) => ({ value, label }))}
            value={period.value}
            onChange={(last) => setAddress({ last: last ?? undefined })}
          />
        </>
      }
      file={committed}
      command={`tyto contract try ${committed} --against ${window.location.origin} --last ${period.value}${whom && ` --for ${whom}`}`}
      editor={editor}
    >
      {tried === undefined ? (
        <Empty
          title="Who would break which rule"
          hint="shows here once the draft was tried, with how many of their records would be stored and only counted, set aside, or refused."
        />
      ) : (
        <Answer query={answer}>
          {(data) =>
            'trial' in data ? (
              <ContractAnswer
                trial={data.trial}
                period={periodOf(tried.period, '24h').label}
                whom={tried.whom ?? ''}
                file={file}
                onPlace={(line) => editor.current?.goTo(line, 1)}
              />
            ) : (
              <Empty
                title="Nothing was tried"
                hint="What is wrong stands below the draft, each with its place in it."
              />
            )
          }
        </Answer>
      )}
    </Bench>
  );
}

const START = 'Try a contract on records that came';
