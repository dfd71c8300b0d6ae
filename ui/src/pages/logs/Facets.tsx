import { ActionIcon, TextInput, Tooltip } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { IconCheck, IconChevronRight, IconEyeOff, IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { formatCount, formatNumber } from '../../format/units';
import { Loading } from '../../status/Loading';
import { Problem } from '../../status/Problem';
import classes from './Facets.module.css';
import { LEVEL_COLORS, levelOfLabels } from './level';
import { chosen, toggleValue } from './search';
import { useFacets, useFacetValues, type Facet, type FacetValues } from './useFacets';
import { LEVEL_LABEL } from './words';

const LEVEL: Facet = { name: LEVEL_LABEL, origin: 'metadata', cardinality: 6, sampled: false };

interface Props {
  search: string;
  logql: string;
  onSearch: (search: string) => void;
}

/** What the rows can be narrowed by: each field with its values; a click wants one, the eye leaves it out. */
export function Facets({ search, logql, onSearch }: Props) {
  const { facets, labels, fields } = useFacets(logql, true);
  const [filter, setFilter] = useState('');
  const wanted = facets.filter(({ name }) => name.includes(filter.trim().toLowerCase()));
  const sample = fields.data?.sample;
  return (
    <nav className={classes.facets} aria-label="Fields" data-testid="facets">
      <TextInput
        className={classes.search}
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
        placeholder="Find a field"
        aria-label="Find a field"
        leftSection={<IconSearch size={13} />}
      />
      <div className={classes.list}>
        {'level'.includes(filter.trim().toLowerCase()) && (
          <FacetBox facet={LEVEL} title="level" search={search} onSearch={onSearch} />
        )}
        {wanted.map((facet) => (
          <FacetBox key={facet.name} facet={facet} title={facet.name} search={search} onSearch={onSearch} />
        ))}
        {(labels.isPending || fields.isPending) && <Loading lines={14} height={12} />}
        {labels.isError && <Problem error={labels.error} onRetry={() => void labels.refetch()} compact />}
        {fields.isError && !labels.isError && (
          <Problem error={fields.error} onRetry={() => void fields.refetch()} compact />
        )}
        {sample?.sampled && (
          <p className={classes.note}>
            Fields of the rows (marked ≥) are those of the newest {formatCount(sample.lines)}; there may be more.
          </p>
        )}
      </div>
    </nav>
  );
}

interface BoxProps {
  facet: Facet;
  title: string;
  search: string;
  onSearch: (search: string) => void;
}

function FacetBox({ facet, title, search, onSearch }: BoxProps) {
  const [openNames, setOpenNames] = useLocalStorage({
    key: 'tyto-log-fields',
    defaultValue: [LEVEL_LABEL, 'component'],
    getInitialValueInEffect: false,
  });
  const open = openNames.includes(facet.name);
  const { ins, outs } = chosen(search, facet.name);
  const active = ins.length + outs.length;
  return (
    <section>
      <button
        type="button"
        className={classes.name}
        aria-expanded={open}
        data-testid="facet"
        onClick={() =>
          setOpenNames(open ? openNames.filter((name) => name !== facet.name) : [...openNames, facet.name])
        }
      >
        <IconChevronRight size={12} aria-hidden />
        <span title={facet.name}>{title}</span>
        {active > 0 && <b title="Conditions of the search">{active}</b>}
        {facet.name !== LEVEL_LABEL && (
          <small title={`${facet.sampled ? 'At least ' : ''}${facet.cardinality} values`}>
            {facet.sampled && '≥ '}
            {formatNumber(facet.cardinality)}
          </small>
        )}
      </button>
      {open && <Values facet={facet} search={search} onSearch={onSearch} ins={ins} outs={outs} />}
    </section>
  );
}

interface ValuesProps extends Omit<BoxProps, 'title'> {
  ins: string[];
  outs: string[];
}

function Values({ facet, search, onSearch, ins, outs }: ValuesProps) {
  const answer = useFacetValues(facet, search, true);
  if (answer.isError) return <Problem error={answer.error} onRetry={() => void answer.refetch()} compact />;
  if (!answer.data) return <Loading lines={Math.min(6, facet.cardinality)} height={11} />;
  const { values } = answer.data;
  // What the search asks for shows even where it finds nothing, so that it can be taken back.
  const missing = [...ins, ...outs].filter(
    (value) => !values.some((each) => nameOf(facet, each.value) === nameOf(facet, value)),
  );
  const all = [...missing.map((value) => ({ value, count: undefined })), ...values];
  const most = Math.max(1, ...values.map(({ count }) => count ?? 0));
  return (
    <div className={classes.values}>
      {all.map(({ value, count }) => {
        const word = nameOf(facet, value);
        const included = ins.some((each) => nameOf(facet, each) === word);
        const excluded = outs.some((each) => nameOf(facet, each) === word);
        const asked = ins.concat(outs).find((each) => nameOf(facet, each) === word) ?? written(facet, value);
        return (
          <div key={value} className={classes.value} data-in={included} data-out={excluded} data-testid="facet-value">
            <button
              type="button"
              aria-pressed={included}
              title={`${included ? 'Take back: only rows' : 'Only rows'} with ${facet.name} ${word || '(none)'}`}
              onClick={() => onSearch(toggleValue(search, facet, asked, true))}
            >
              <i className={classes.check}>{included && <IconCheck size={11} stroke={3} />}</i>
              {facet.name === LEVEL_LABEL && (
                <i
                  className={classes.swatch}
                  style={{ background: `var(${LEVEL_COLORS[levelOfLabels({ level: value })]})` }}
                />
              )}
              <span>{word || '(none)'}</span>
              {count !== undefined && (
                <>
                  <em style={{ width: `${(count / most) * 100}%` }} aria-hidden />
                  <small>{formatNumber(count)}</small>
                </>
              )}
            </button>
            <Tooltip label={excluded ? 'Let it in again' : 'Leave it out'}>
              <ActionIcon
                variant="subtle"
                color="gray"
                size={18}
                aria-label={`${excluded ? 'Let in again' : 'Leave out'} ${word || '(none)'}`}
                aria-pressed={excluded}
                onClick={() => onSearch(toggleValue(search, facet, asked, false))}
              >
                <IconEyeOff size={12} />
              </ActionIcon>
            </Tooltip>
          </div>
        );
      })}
      <p className={classes.note}>{noteOf(answer.data, facet)}</p>
    </div>
  );
}

/** The page's word for a value: levels have one each, whatever they are called in LogQL. */
function nameOf(facet: Facet, value: string): string {
  return facet.name === LEVEL_LABEL ? levelOfLabels({ level: value }) : value;
}

/** A value as a search writes it. */
function written(facet: Facet, value: string): string {
  return facet.name === LEVEL_LABEL && value === '' ? 'unknown' : value;
}

function noteOf({ values, sample, cut }: FacetValues, facet: Facet): string {
  if (values.length === 0)
    return sample ? `None in the newest ${formatCount(sample.lines)} rows.` : 'None in this range.';
  if (!sample) return cut ? `The ${formatCount(values.length)} most frequent, counted over the range.` : '';
  const from = sample.sampled
    ? `From the newest ${formatCount(sample.lines)} rows`
    : `From all ${formatCount(sample.lines)} rows`;
  const many = facet.origin === 'parsed' ? '' : ', too many to count';
  return `${from}, not counted${cut ? `${many}; there are more` : ''}.`;
}
