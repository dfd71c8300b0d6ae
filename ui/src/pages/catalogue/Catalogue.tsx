import { SegmentedControl, TextInput } from '@mantine/core';
import { IconAddressBook, IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { fetchEntries, type Entries, type Entry } from '../../api/catalogue';
import { timeWords, useAddress } from '../../app/address';
import { VirtualList } from '../../list/VirtualList';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { Verdict } from '../../status/Verdict';
import { useTime } from '../../time/useTime';
import classes from './Catalogue.module.css';
import { EntryRow } from './EntryRow';
import { SenderList } from './SenderList';
import { counted, KINDS, verdict } from './words';

const VIEWS = [
  { value: 'component', label: 'Components' },
  { value: 'service', label: 'Services' },
  { value: 'business_service', label: 'Business services' },
  { value: 'team', label: 'Teams' },
  { value: 'unclaimed', label: 'Unclaimed' },
] as const;

type View = (typeof VIEWS)[number]['value'];

const isView = (text: string | undefined): text is View => VIEWS.some(({ value }) => value === text);

/** What teams have declared: who owns what, what is missing, and who sends and is nobody's. */
export default function Catalogue() {
  const { manual } = useTime();
  const [address, setAddress] = useAddress();
  const view = isView(address.view) ? address.view : 'component';
  const search = address.q ?? '';
  const ask = (text: string) => ({
    queryKey: ['catalogue', text, manual],
    queryFn: ({ signal }: { signal: AbortSignal }) => fetchEntries(text, signal),
    placeholderData: keepPreviousData,
  });
  const all = useQuery(ask(''));
  const found = useQuery({ ...ask(search), enabled: search !== '' });
  return (
    <div className={classes.page}>
      <Answer query={all}>
        {(declared) => (
          <>
            <Verdict
              icon={IconAddressBook}
              title={verdict(declared.entries).title}
              aside={
                <Link to="/scorecard" search={timeWords(address)}>
                  How well can it be watched?
                </Link>
              }
            >
              <p className="dim">{verdict(declared.entries).text}</p>
            </Verdict>
            <div className={classes.tools}>
              <SegmentedControl
                size="xs"
                className={classes.views}
                aria-label="What the list shows"
                data={VIEWS.map(({ value, label }) => ({ value, label }))}
                value={view}
                onChange={(value) => setAddress({ view: value === 'component' ? undefined : value })}
              />
              {view !== 'unclaimed' && (
                <>
                  <Search
                    key={search}
                    text={search}
                    onSearch={(q) => setAddress({ q: q || undefined }, { replace: true })}
                  />
                  <label className={classes.only}>
                    <input
                      type="checkbox"
                      checked={address.show === 'incomplete'}
                      onChange={(event) => setAddress({ show: event.currentTarget.checked ? 'incomplete' : undefined })}
                    />
                    Only what lacks something
                  </label>
                </>
              )}
            </div>
            {view === 'unclaimed' ? (
              <SenderList />
            ) : search === '' ? (
              <List found={declared} view={view} incomplete={address.show === 'incomplete'} />
            ) : (
              <Answer query={found}>
                {(entries) => <List found={entries} view={view} incomplete={address.show === 'incomplete'} />}
              </Answer>
            )}
          </>
        )}
      </Answer>
    </div>
  );
}

/** Asks when Enter is pressed or the field is left, so that no half word is searched. */
function Search({ text, onSearch }: { text: string; onSearch: (text: string) => void }) {
  const [draft, setDraft] = useState(text);
  const done = () => {
    if (draft.trim() !== text) onSearch(draft.trim());
  };
  return (
    <TextInput
      size="xs"
      data-query
      className={classes.search}
      leftSection={<IconSearch size={14} />}
      aria-label="Search the catalogue"
      placeholder="Name, team, contract or rule, then Enter"
      value={draft}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={done}
      onKeyDown={(event) => {
        if (event.key === 'Enter') done();
      }}
    />
  );
}

function List({ found, view, incomplete }: { found: Entries; view: Exclude<View, 'unclaimed'>; incomplete: boolean }) {
  const shown = shownOf(found.entries, view, incomplete);
  if (shown.length === 0)
    return (
      <Empty
        title={`No ${KINDS[view].one} fits`}
        hint={
          incomplete
            ? 'None of them lacks anything.'
            : 'Another word may, or another kind: the search looks at all of them.'
        }
      />
    );
  return (
    <>
      <p className={classes.count} data-testid="count">
        {counted(shown.length, view)}
        {found.leftOut > 0 && `; ${found.leftOut} more entries are not told, search for them`}
      </p>
      <VirtualList
        items={shown}
        usual={54}
        grows="top"
        label={`The ${KINDS[view].many}`}
        testId="entries"
        render={(entry) => <EntryRow entry={entry} gaps={found.gaps} />}
      />
    </>
  );
}

/** The same objects as long as the answer is the same: the list keeps its place by them. */
function shownOf(entries: Entry[], view: string, incomplete: boolean): Entry[] {
  return entries.filter(({ kind, missing }) => kind === view && (!incomplete || missing.length > 0));
}
