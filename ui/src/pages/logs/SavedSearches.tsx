import { ActionIcon, Button, FileButton, Modal, TextInput, Tooltip } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { IconBookmark, IconDownload, IconTrash, IconUpload } from '@tabler/icons-react';
import { useState } from 'react';
import { useAddress } from '../../app/address';
import { download, stamped } from '../../format/download';
import classes from './Tools.module.css';
import { addressOf, printSaved, readSaved, SAVED_KEY, withSaved, wordsOf, type Saved } from './saved';

/** Searches with names, in this browser. */
export function SavedSearches() {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button
        size="compact-sm"
        variant="subtle"
        leftSection={<IconBookmark size={14} />}
        onClick={() => setOpened(true)}
        data-testid="saved"
      >
        Saved
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title="Saved searches" size={560} centered>
        <List onDone={() => setOpened(false)} />
      </Modal>
    </>
  );
}

function List({ onDone }: { onDone: () => void }) {
  const [address, setAddress] = useAddress();
  const [list, setList] = useLocalStorage<Saved[]>({
    key: SAVED_KEY,
    defaultValue: [],
    getInitialValueInEffect: false,
  });
  const [name, setName] = useState('');
  const [problem, setProblem] = useState<string>();
  const trimmed = name.trim();
  const save = () => {
    setList((old) => withSaved(old, { name: trimmed, words: wordsOf(address), savedMs: Date.now() }));
    setName('');
  };
  const load = async (file: File | null) => {
    if (!file) return;
    try {
      const read = readSaved(await file.text());
      setList((old) => read.reduce(withSaved, old));
      setProblem(undefined);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <div className={classes.saved}>
      <p className="dim">
        They are kept in this browser only, for you alone; other people and other browsers do not see them, and clearing
        the browser's data removes them. To pass them on, write them to a file, or share a link.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (trimmed) save();
        }}
      >
        <TextInput
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          placeholder="A name for the search that shows now"
          aria-label="Name of the search"
          maxLength={80}
          data-autofocus
        />
        <Button type="submit" disabled={!trimmed}>
          {list.some((each) => each.name === trimmed) ? 'Replace' : 'Save'}
        </Button>
      </form>
      {list.length === 0 && <p className="dim">None are saved yet.</p>}
      <ul>
        {list.map((saved) => (
          <li key={saved.name}>
            <button
              type="button"
              onClick={() => {
                setAddress({ ...addressOf(saved.words), live: undefined, line: undefined });
                onDone();
              }}
            >
              <b>{saved.name}</b>
              <code>{saved.words.q ?? 'all logs'}</code>
            </button>
            <Tooltip label="Delete">
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Delete ${saved.name}`}
                onClick={() => setList((old) => old.filter((each) => each.name !== saved.name))}
              >
                <IconTrash size={15} />
              </ActionIcon>
            </Tooltip>
          </li>
        ))}
      </ul>
      {problem && (
        <p className={classes.problem} role="alert">
          {problem}
        </p>
      )}
      <div className={classes.line}>
        <Button
          variant="default"
          leftSection={<IconDownload size={14} />}
          disabled={list.length === 0}
          onClick={() => download(stamped('searches.json'), 'application/json', [printSaved(list)])}
        >
          Write to a file
        </Button>
        <FileButton onChange={(file) => void load(file)} accept="application/json,.json">
          {(props) => (
            <Button {...props} variant="default" leftSection={<IconUpload size={14} />}>
              Read from a file
            </Button>
          )}
        </FileButton>
      </div>
    </div>
  );
}
