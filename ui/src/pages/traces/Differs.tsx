import { Button, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { searchTraces, type TraceSummary } from '../../api/tempo';
import { formatCount, formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { differencesOf, differenceWords, slowFrom, traitsOf, type Difference } from './differ';
import classes from './Differs.module.css';
import { Reading } from './Reading';
import { narrowed } from './traceql';
import { sampleWords, useSample, type Sample } from './useSample';
import { useSeconds } from './useTraceSearch';

type Sides = 'failed' | 'slow';

/** Of the failed ones at most this many are asked for beside those that were found. */
const FAILED_MAX = 60;

interface Props {
  traces: TraceSummary[];
  q: string;
  onSearch: (query: string) => void;
}

/** What the failed traces (or the slow ones) have that the others do not. */
export function Differs({ traces, q, onSearch }: Props) {
  const [sides, setSides] = useState<Sides>(traces.some(({ errorCount }) => errorCount) ? 'failed' : 'slow');
  const failed = useFailed(q, sides === 'failed');
  const both = useMemo(() => {
    const known = new Set(traces.map(({ traceId }) => traceId));
    const more = (failed.data ?? []).filter(({ traceId }) => !known.has(traceId));
    // The failed ones first: there are few of them, and the sample has an end.
    return [...more, ...[...traces].sort((a, b) => Number(Boolean(b.errorCount)) - Number(Boolean(a.errorCount)))];
  }, [traces, failed.data]);
  const wanted = sides === 'failed' ? both : traces;
  const { answer, progress, of } = useSample(failed.isFetching && sides === 'failed' ? NONE : wanted);
  return (
    <div className={classes.page}>
      <div className={classes.head}>
        <SegmentedControl
          value={sides}
          onChange={(next) => setSides(next as Sides)}
          data={[
            { value: 'failed', label: 'Failed against the rest' },
            { value: 'slow', label: 'Slow against the rest' },
          ]}
          aria-label="Which traces to tell apart"
        />
        {failed.isError && sides === 'failed' && (
          <span className="dim">Only the traces below are looked at: {failed.error.message}</span>
        )}
      </div>
      <Answer query={answer} loading={<Reading progress={progress} of={of} />}>
        {(sample) => <Told sample={sample} found={wanted.length} sides={sides} q={q} onSearch={onSearch} />}
      </Answer>
    </div>
  );
}

const NONE: TraceSummary[] = [];

/** Failed traces of the same search: among the newest there may be none. */
function useFailed(q: string, enabled: boolean) {
  const { start, end } = useSeconds();
  const query = narrowed(q, [{ name: 'status', op: '=', value: { kind: 'word', text: 'error' } }]);
  return useQuery({
    queryKey: ['failed-traces', query, start, end],
    queryFn: async ({ signal }) =>
      (await searchTraces({ q: query ?? '', limit: FAILED_MAX, start, end }, signal)).traces,
    enabled: enabled && query !== undefined,
  });
}

interface ToldProps {
  sample: Sample;
  found: number;
  sides: Sides;
  q: string;
  onSearch: (query: string) => void;
}

function Told({ sample, found, sides, q, onSearch }: ToldProps) {
  const { bad, good, slow } = useMemo(() => sidesOf(sample, sides), [sample, sides]);
  const { more, less } = useMemo(
    () =>
      differencesOf(
        bad.map(({ spans }) => traitsOf(spans)),
        good.map(({ spans }) => traitsOf(spans)),
      ),
    [bad, good],
  );
  const badName = sides === 'failed' ? 'failed ones' : 'slow ones';
  if (bad.length === 0 || good.length === 0)
    return (
      <Empty
        title={sides === 'failed' ? (good.length ? 'None of them failed' : 'All of them failed') : 'Too few traces'}
        hint={`There is nothing to tell apart. ${sampleWords(sample, found)} Widen the time range, or ask for less.`}
      />
    );
  const causes = more.filter(({ symptom }) => !symptom);
  const symptoms = more.filter(({ symptom }) => symptom);
  const shared = { bad: bad.length, good: good.length, badName, q, onSearch };
  return (
    <div className={classes.told} data-testid="differences">
      <p className={classes.lead}>
        <b>{bad.length}</b>{' '}
        {sides === 'failed' ? 'failed' : `took ${formatDuration(slow)} or longer, the slowest tenth`},{' '}
        <b>{good.length}</b> did not. <span className="dim">{sampleWords(sample, found)}</span>
      </p>
      <Group
        title={`What the ${badName} have and the others do not`}
        hint="The first is the best place to look. It is what they have in common, not proof of a cause."
        none="Nothing sets them apart: no value occurs clearly more often in them."
        differences={causes}
        {...shared}
      />
      {symptoms.length > 0 && (
        <Group
          title="What the failures say"
          hint="Status codes and messages: the failure itself rather than its cause."
          differences={symptoms}
          {...shared}
        />
      )}
      {less.length > 0 && (
        <Group
          title={`What is missing in the ${badName}`}
          hint="Usual in the others: where they did not get to, or what they went around."
          differences={less}
          {...shared}
        />
      )}
    </div>
  );
}

function sidesOf({ traces }: Sample, sides: Sides) {
  const slow = slowFrom(traces.map(({ summary }) => summary.durationMs));
  const isBad = ({ summary, spans }: Sample['traces'][number]) =>
    sides === 'slow' ? summary.durationMs >= slow : spans.some(({ status }) => status === 'error');
  return { bad: traces.filter(isBad), good: traces.filter((trace) => !isBad(trace)), slow };
}

interface GroupProps {
  title: string;
  hint: string;
  none?: string;
  differences: Difference[];
  bad: number;
  good: number;
  badName: string;
  q: string;
  onSearch: (query: string) => void;
}

const SHOWN = 8;
/** Of what always comes together, so much is told. */
const ALSO_MAX = 60;

function Group({ title, hint, none, differences, ...shared }: GroupProps) {
  const [all, setAll] = useState(false);
  const shown = all ? differences : differences.slice(0, SHOWN);
  return (
    <section className={classes.group}>
      <h2>{title}</h2>
      <p className="dim">{differences.length ? hint : none}</p>
      <ol>
        {shown.map((difference) => (
          <One key={`${difference.name} ${difference.value}`} difference={difference} {...shared} />
        ))}
      </ol>
      {differences.length > shown.length && (
        <Button size="compact-xs" variant="default" onClick={() => setAll(true)}>
          {differences.length - shown.length} weaker ones
        </Button>
      )}
    </section>
  );
}

interface OneProps extends Pick<GroupProps, 'bad' | 'good' | 'badName' | 'q' | 'onSearch'> {
  difference: Difference;
}

function One({ difference, bad, good, badName, q, onSearch }: OneProps) {
  const { name, value, also, condition } = difference;
  const next = narrowed(q, [condition]);
  return (
    <li className={classes.one} data-testid="difference">
      <div className={classes.what}>
        <span className="dim">{name}</span> <b>{value}</b>
        {also.length > 0 && (
          <details>
            <summary>and {formatCount(also.length)} more that always come with it</summary>
            <ul>
              {also.slice(0, ALSO_MAX).map((each) => (
                <li key={`${each.name} ${each.value}`}>
                  <span className="dim">{each.name}</span> {each.value}
                </li>
              ))}
              {also.length > ALSO_MAX && <li className="dim">and {formatCount(also.length - ALSO_MAX)} more</li>}
            </ul>
          </details>
        )}
      </div>
      <div className={classes.bars}>
        <Bar share={difference.bad / bad} label={badName} bad />
        <Bar share={difference.good / good} label="the others" />
      </div>
      <p className={classes.words}>{differenceWords(difference, bad, good, badName)}</p>
      {next && (
        <Button size="compact-xs" variant="light" onClick={() => onSearch(next)}>
          Only traces with it
        </Button>
      )}
    </li>
  );
}

function Bar({ share, label, bad }: { share: number; label: string; bad?: boolean }) {
  const percent = `${Math.round(share * 100)} %`;
  return (
    <span className={classes.bar} title={`${percent} of ${bad ? 'the ' : ''}${label}`}>
      <small>{label}</small>
      <span>
        <i style={{ width: `${share * 100}%` }} data-bad={bad} />
      </span>
      <small className="num">{percent}</small>
    </span>
  );
}
