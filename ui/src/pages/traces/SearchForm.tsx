import { Autocomplete, Button, Loader, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { asRecord, asText, getJson } from '../../api/client';
import type { Address } from '../../app/address';
import { useDraft } from '../../editor/useDraft';
import { useTime } from '../../time/useTime';
import { readDuration } from './tags';
import classes from './Traces.module.css';

interface Props {
  address: Address;
  onSearch: (words: Address, changed: boolean) => void;
  running: boolean;
}

async function serviceNames(start: number, end: number, signal: AbortSignal): Promise<string[]> {
  const json = asRecord(await getJson('/tempo/api/search/tag/service.name/values', { start, end }, { signal }));
  return Array.isArray(json.tagValues) ? json.tagValues.map(asText).sort() : [];
}

export function SearchForm({ address, onSearch, running }: Props) {
  const [service, setService] = useDraft(address.service ?? '');
  const [tags, setTags] = useDraft(address.tags ?? '');
  const [min, setMin] = useDraft(address.min ?? '');
  const [max, setMax] = useDraft(address.max ?? '');
  // Names only help with typing; when they cannot be had, the search says what is wrong.
  const { startMs, endMs } = useTime().range;
  const names = useQuery({
    queryKey: ['service-names', startMs, endMs],
    queryFn: ({ signal }) => serviceNames(Math.floor(startMs / 1000), Math.ceil(endMs / 1000), signal),
    placeholderData: keepPreviousData,
  });
  const bad = (text: string) =>
    text.trim() !== '' && readDuration(text) === undefined ? 'Like 250ms or 1.5s' : undefined;
  const submit = (chosen = service) => {
    if (bad(min) || bad(max)) return;
    const words: Address = {
      service: chosen.trim() || undefined,
      tags: tags.trim() || undefined,
      min: min.trim() ? readDuration(min) : undefined,
      max: max.trim() ? readDuration(max) : undefined,
    };
    const changed = (['service', 'tags', 'min', 'max'] as const).some((name) => words[name] !== address[name]);
    onSearch(words, changed);
  };
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <Autocomplete
        label="Service"
        size="xs"
        className={classes.field}
        value={service}
        onChange={setService}
        onOptionSubmit={submit}
        data={names.data ?? []}
        placeholder="Any"
        limit={50}
        clearable
        data-query
      />
      <TextInput
        label="Attributes"
        value={tags}
        onChange={(event) => setTags(event.currentTarget.value)}
        placeholder="status=error http.response.status_code=404"
        className={classes.wide}
      />
      <TextInput
        label="Longer than"
        className={classes.bound}
        value={min}
        error={bad(min)}
        onChange={(event) => setMin(event.currentTarget.value)}
        placeholder="250ms"
      />
      <TextInput
        label="Shorter than"
        className={classes.bound}
        value={max}
        error={bad(max)}
        onChange={(event) => setMax(event.currentTarget.value)}
        placeholder="2s"
      />
      <Button
        type="submit"
        size="xs"
        h={30}
        leftSection={running ? <Loader size={13} color="white" /> : <IconSearch size={14} />}
        aria-busy={running}
        data-testid="run"
      >
        Search
      </Button>
    </form>
  );
}
