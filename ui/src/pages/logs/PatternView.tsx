import { ActionIcon, Tooltip } from '@mantine/core';
import {
  IconCircleMinus,
  IconMinus,
  IconSparkles,
  IconTrendingDown,
  IconTrendingUp,
  IconZoomIn,
  IconZoomOut,
} from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { ApiError } from '../../api/client';
import { fetchPatterns, type Change, type Pattern, type Patterns } from '../../api/patterns';
import { Sparkline } from '../../charts/Sparkline';
import { formatCount } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Loading } from '../../status/Loading';
import { rangePhrase, toNs } from '../../time/range';
import { useTime } from '../../time/useTime';
import { LEVEL_COLORS, LEVELS, levelOfLabels } from './level';
import { changeText, CHANGE_WORDS, isCompared, sortedPatterns, summaryOf } from './patternWords';
import classes from './PatternView.module.css';
import { withPattern } from './search';

const ICONS: Record<Change, typeof IconMinus> = {
  new: IconSparkles,
  grew: IconTrendingUp,
  vanished: IconCircleMinus,
  fell: IconTrendingDown,
  steady: IconMinus,
};

interface Props {
  search: string;
  logql: string;
  /** Shows the rows of a search. */
  onSearch: (search: string) => void;
}

/** The kinds of messages behind the rows, those that changed first. */
export function PatternView({ search, logql, onSearch }: Props) {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const answer = useQuery({
    queryKey: ['log-patterns', logql, startMs, endMs, time.manual],
    queryFn: ({ signal }) => fetchPatterns(logql, { startNs: toNs(startMs), endNs: toNs(endMs) }, signal),
    placeholderData: keepPreviousData,
    retry: false,
  });
  if (answer.error instanceof ApiError && (answer.error.status === 404 || answer.error.status === 501))
    return (
      <Empty
        title="This Tyto does not find patterns"
        hint={
          <>
            The server has no <code>/api/tyto/v1/patterns</code> ({answer.error.status}): it may be older than this
            page, or have pattern mining switched off. Rows and their histogram work without it.
          </>
        }
      />
    );
  return (
    <div className={classes.view} data-testid="patterns">
      <Answer
        query={answer}
        loading={<Loading lines={12} height={26} />}
        empty={({ patterns }) =>
          patterns.length ? null : (
            <Empty
              title="No patterns"
              hint={
                <>
                  No rows of <code>{logql}</code> in {rangePhrase(time.text, time.nowMs)}, nor in the time before.
                </>
              }
            />
          )
        }
      >
        {(found) => <Table found={found} search={search} onSearch={onSearch} />}
      </Answer>
    </div>
  );
}

function Table({ found, search, onSearch }: { found: Patterns; search: string; onSearch: (search: string) => void }) {
  return (
    <>
      <p className={classes.summary} data-testid="pattern-summary">
        <b>{summaryOf(found)}</b>{' '}
        <span className="dim">
          {isCompared(found)
            ? 'Compared with the same length of time before.'
            : 'There is no row in the same length of time before to compare them with.'}
        </span>
      </p>
      <table className={classes.table}>
        <thead>
          <tr>
            <th>Change</th>
            <th>Message, with &lt;_&gt; where rows differ</th>
            <th className="num">Rows</th>
            <th>Over time</th>
            <th>Level</th>
            <th>From</th>
            <th>
              <span className="visually-hidden">Filter</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sortedPatterns(found.patterns).map((pattern) => (
            <Line key={pattern.id} pattern={pattern} compared={isCompared(found)} search={search} onSearch={onSearch} />
          ))}
        </tbody>
      </table>
    </>
  );
}

interface LineProps {
  pattern: Pattern;
  compared: boolean;
  search: string;
  onSearch: (search: string) => void;
}

function Line({ pattern, compared, search, onSearch }: LineProps) {
  const Icon = ICONS[pattern.change];
  const vanished = pattern.count === 0;
  return (
    <tr data-change={compared ? pattern.change : undefined} data-testid="pattern">
      <td className={classes.change}>
        {compared ? (
          <>
            <span>
              <Icon size={14} aria-hidden /> {CHANGE_WORDS[pattern.change]}
            </span>
            <small>{changeText(pattern)}</small>
          </>
        ) : (
          '–'
        )}
      </td>
      <td className={classes.message}>
        <button
          type="button"
          title={`For example: ${pattern.example}`}
          onClick={() => onSearch(withPattern(search, pattern.pattern, true))}
        >
          {pattern.pattern.split('<_>').map((piece, at) => (
            <span key={at}>
              {at > 0 && <i>&lt;_&gt;</i>}
              {piece}
            </span>
          ))}
        </button>
      </td>
      <td className="num">{formatCount(pattern.count)}</td>
      <td className={classes.course}>
        <Sparkline
          values={pattern.samples.map(([, rows]) => rows)}
          color={pattern.change === 'new' || pattern.change === 'grew' ? 'var(--accent)' : 'var(--debug)'}
          height={22}
          label={`Rows over time: ${pattern.count}`}
        />
      </td>
      <td>
        <Levels levels={pattern.levels} />
      </td>
      <td className={classes.services} title={pattern.services.join(', ')}>
        {pattern.services.join(', ')}
      </td>
      <td className={classes.buttons}>
        {!vanished && (
          <>
            <Small
              label="Only rows of this pattern"
              onClick={() => onSearch(withPattern(search, pattern.pattern, true))}
            >
              <IconZoomIn size={15} />
            </Small>
            <Small
              label="Without rows of this pattern"
              onClick={() => onSearch(withPattern(search, pattern.pattern, false))}
            >
              <IconZoomOut size={15} />
            </Small>
          </>
        )}
      </td>
    </tr>
  );
}

function Levels({ levels }: { levels: Record<string, number> }) {
  const known = Object.keys(levels).map((name) => levelOfLabels({ level: name }));
  return (
    <span className={classes.levels}>
      {LEVELS.filter((level) => known.includes(level)).map((level) => (
        <span key={level}>
          <i style={{ background: `var(${LEVEL_COLORS[level]})` }} />
          {level}
        </span>
      ))}
    </span>
  );
}

interface SmallProps {
  label: string;
  onClick: () => void;
  children: React.ReactNode;
}

function Small({ label, onClick, children }: SmallProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size={24} aria-label={label} onClick={onClick}>
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
