import { Autocomplete, Button, Loader, Select, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { attributeValues } from '../../api/tempo';
import { Editor } from '../../editor/Editor';
import { meaningOf, mistakeIn, NO_CRITERIA, toCriteria, toTraceql, type Criteria, type Status } from './criteria';
import classes from './Traces.module.css';
import { useSeconds, useTraceql } from './useTraceSearch';

interface Props {
  query: string;
  onSearch: (query: string) => void;
  running: boolean;
}

/** What is being written: the TraceQL, and the form that says the same while there is one. */
interface Draft {
  committed: string;
  query: string;
  criteria: Criteria | undefined;
}

const draftOf = (query: string): Draft => ({ committed: query, query, criteria: toCriteria(query) });

/** A form and the TraceQL that it writes, side by side: each follows the other, and a sentence says what both ask. */
export function SearchForm({ query, onSearch, running }: Props) {
  const [state, setDraft] = useState(() => draftOf(query));
  if (state.committed !== query) setDraft(draftOf(query));
  const draft = state.committed === query ? state : draftOf(query);
  const language = useTraceql();
  const mistake = draft.criteria && mistakeIn(draft.criteria);
  const write = (patch: Partial<Criteria>): string => {
    const criteria = { ...(draft.criteria ?? NO_CRITERIA), ...patch };
    const next = toTraceql(criteria);
    setDraft({ ...draft, query: next, criteria });
    return next;
  };
  const run = (text = draft.query) => {
    if (!mistake) onSearch(text.trim() || '{}');
  };
  return (
    <div className={classes.search}>
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
        aria-label="Search by fields"
      >
        <Fields
          criteria={draft.criteria ?? NO_CRITERIA}
          disabled={draft.criteria === undefined}
          mistake={mistake}
          onChange={write}
          onRun={run}
        />
        <button type="submit" hidden />
      </form>
      <div className={classes.query}>
        <span className={classes.tag} aria-hidden>
          TraceQL
        </span>
        <Editor
          value={draft.query}
          // What the form wrote comes back from the editor as the same text: the form keeps what is half typed in it.
          onChange={(text) => text !== draft.query && setDraft({ ...draft, query: text, criteria: toCriteria(text) })}
          onRun={() => run()}
          language={language}
          label="TraceQL query"
          placeholder='{ resource.service.name = "checkout-api" && status = error }'
        />
        <Button
          size="sm"
          h={33}
          onClick={() => run()}
          leftSection={running ? <Loader size={13} color="white" /> : <IconSearch size={14} />}
          aria-busy={running}
          data-testid="run"
        >
          Search
        </Button>
      </div>
      <Meaning query={draft.query} onForm={() => setDraft({ ...draft, query: '{}', criteria: NO_CRITERIA })} />
    </div>
  );
}

interface FieldsProps {
  criteria: Criteria;
  disabled: boolean;
  mistake: ReturnType<typeof mistakeIn>;
  onChange: (patch: Partial<Criteria>) => string;
  onRun: (query?: string) => void;
}

function Fields({ criteria, disabled, mistake, onChange, onRun }: FieldsProps) {
  const services = useValues('resource.service.name');
  const operations = useValues('name');
  const wrong = (field: keyof Criteria) => (mistake?.field === field ? mistake.words : undefined);
  return (
    <>
      <Autocomplete
        label="Service"
        size="xs"
        className={classes.service}
        value={criteria.service}
        onChange={(service) => onChange({ service })}
        onOptionSubmit={(service) => onRun(onChange({ service }))}
        data={services}
        placeholder="Any"
        limit={50}
        clearable
        disabled={disabled}
        data-query
      />
      <Autocomplete
        label="Operation"
        size="xs"
        className={classes.operation}
        value={criteria.operation}
        onChange={(operation) => onChange({ operation })}
        onOptionSubmit={(operation) => onRun(onChange({ operation }))}
        data={operations}
        placeholder="Any"
        limit={50}
        clearable
        disabled={disabled}
      />
      <Select
        label="Status"
        className={classes.status}
        value={criteria.status}
        onChange={(status) => onRun(onChange({ status: (status ?? 'any') as Status }))}
        data={[
          { value: 'any', label: 'Any' },
          { value: 'error', label: 'Failed' },
          { value: 'ok', label: 'Marked ok' },
          { value: 'unset', label: 'Unset' },
        ]}
        allowDeselect={false}
        disabled={disabled}
      />
      <TextInput
        label="Attributes"
        className={classes.wide}
        value={criteria.attributes}
        error={wrong('attributes')}
        onChange={(event) => onChange({ attributes: event.currentTarget.value })}
        placeholder="http.response.status_code>=500 cloud.region=eu-west-1"
        disabled={disabled}
      />
      <TextInput
        label="At least"
        className={classes.bound}
        value={criteria.min}
        error={wrong('min')}
        onChange={(event) => onChange({ min: event.currentTarget.value })}
        placeholder="250ms"
        title="How long the whole trace took"
        disabled={disabled}
      />
      <TextInput
        label="At most"
        className={classes.bound}
        value={criteria.max}
        error={wrong('max')}
        onChange={(event) => onChange({ max: event.currentTarget.value })}
        placeholder="2s"
        title="How long the whole trace took"
        disabled={disabled}
      />
    </>
  );
}

/** Values of a name. They only help with typing; when they cannot be had, the search says what is wrong. */
function useValues(name: string): string[] {
  const { start, end } = useSeconds();
  const found = useQuery({
    queryKey: ['attribute-values', name, Math.floor(start / 60), Math.ceil(end / 60)],
    queryFn: ({ signal }) => attributeValues(name, start, end, signal),
    placeholderData: keepPreviousData,
  });
  return [...new Set((found.data ?? []).map(({ value }) => value))].sort();
}

function Meaning({ query, onForm }: { query: string; onForm: () => void }) {
  const words = meaningOf(query);
  return (
    <div className={classes.meaning} data-testid="meaning">
      {words ? (
        <span>
          {words.map((part, index) => (typeof part === 'string' ? part : <code key={index}>{part.code}</code>))}
        </span>
      ) : (
        <>
          <span>This TraceQL says more than the form can, and is asked as it stands.</span>
          <Button size="compact-xs" variant="subtle" onClick={onForm}>
            Back to the form
          </Button>
        </>
      )}
    </div>
  );
}
