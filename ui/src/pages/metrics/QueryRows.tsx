import { ActionIcon, Button, Loader, SegmentedControl, Switch, Tooltip } from '@mantine/core';
import {
  IconCopy,
  IconEye,
  IconEyeOff,
  IconListSearch,
  IconPlayerPlayFilled,
  IconPlus,
  IconStack2,
  IconX,
} from '@tabler/icons-react';
import type { Extension } from '@codemirror/state';
import { Link } from '@tanstack/react-router';
import { timeWords, useAddress } from '../../app/address';
import { Editor } from '../../editor/Editor';
import classes from './QueryRows.module.css';
import type { Row, Rows } from './useRows';

interface Props {
  rows: Rows;
  language: Extension;
  running: boolean;
  onBrowse: () => void;
}

/** The editors, one below the other, and what applies to all of them. */
export function QueryRows({ rows, language, running, onBrowse }: Props) {
  const [address] = useAddress();
  const asked = rows.asked.length > 0;
  return (
    <div className={classes.queries}>
      <div className={classes.rows}>
        {rows.rows.map((row, index) => (
          <QueryRow key={row.letter} row={row} rows={rows} language={language} focus={index > 0 && row.draft === ''} />
        ))}
        <div className={classes.tools}>
          <Button variant="subtle" leftSection={<IconPlus size={14} />} disabled={rows.full} onClick={rows.add}>
            Add query
          </Button>
          <Button variant="subtle" leftSection={<IconListSearch size={14} />} onClick={onBrowse}>
            Browse metrics
          </Button>
          <Button
            variant="subtle"
            leftSection={<IconStack2 size={14} />}
            component={Link}
            to="/cardinality"
            // @ts-expect-error Mantine's polymorphic Button does not know the props of the router's Link.
            search={timeWords(address)}
          >
            Cardinality
          </Button>
          {asked && <Exemplars />}
        </div>
      </div>
      <div className={classes.actions}>
        <Tooltip label="Ctrl Enter runs from the editor">
          <Button
            size="sm"
            h={33}
            onClick={() => rows.run()}
            leftSection={running ? <Loader size={13} color="white" /> : <IconPlayerPlayFilled size={13} />}
            aria-busy={running}
            data-testid="run"
          >
            Run
          </Button>
        </Tooltip>
        <Views />
      </div>
    </div>
  );
}

function QueryRow({ row, rows, language, focus }: { row: Row; rows: Rows; language: Extension; focus: boolean }) {
  const { letter, off } = row;
  const only = rows.rows.length === 1;
  return (
    <div className={classes.row} data-off={off} data-testid="query-row">
      <span className={classes.letter} data-changed={row.changed} title={row.changed ? 'Not run yet' : undefined}>
        {letter}
      </span>
      <Editor
        value={row.draft}
        onChange={(text) => rows.edit(letter, text)}
        onRun={() => rows.run()}
        language={language}
        label={`PromQL query ${letter}`}
        placeholder="A metric, or any PromQL. Ctrl Space completes; empty: a list of all metrics"
        focus={focus}
      />
      <span className={classes.icons}>
        <Act
          label={`Duplicate ${letter}`}
          disabled={rows.full || !row.draft.trim()}
          onClick={() => rows.duplicate(letter)}
        >
          <IconCopy size={15} stroke={1.6} />
        </Act>
        {!only && (
          <Act label={off ? `Switch ${letter} on` : `Switch ${letter} off`} onClick={() => rows.toggle(letter)}>
            {off ? <IconEyeOff size={15} stroke={1.6} /> : <IconEye size={15} stroke={1.6} />}
          </Act>
        )}
        <Act
          label={only ? 'Clear the query' : `Remove ${letter}`}
          disabled={only && !row.draft}
          onClick={() => rows.remove(letter)}
        >
          <IconX size={15} stroke={1.6} />
        </Act>
      </span>
    </div>
  );
}

interface ActProps {
  label: string;
  disabled?: boolean;
  onClick: () => void;
  children: React.ReactNode;
}

function Act({ label, disabled, onClick, children }: ActProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size={28} aria-label={label} disabled={disabled} onClick={onClick}>
        {children}
      </ActionIcon>
    </Tooltip>
  );
}

function Views() {
  const [address, setAddress] = useAddress();
  const view = address.view === 'table' || address.view === 'explain' ? address.view : 'chart';
  return (
    <SegmentedControl
      size="sm"
      h={33}
      value={view}
      onChange={(next) => setAddress({ view: next === 'chart' ? undefined : next }, { replace: true })}
      data={[
        { value: 'chart', label: 'Chart' },
        { value: 'table', label: 'Table' },
        { value: 'explain', label: 'Explain' },
      ]}
      aria-label="How to show the answer"
    />
  );
}

function Exemplars() {
  const [address, setAddress] = useAddress();
  const on = address.exemplars !== 'off';
  return (
    <Tooltip label="Single measured events as points that open their traces">
      <Switch
        className={classes.switch}
        label="Exemplars"
        checked={on}
        onChange={() => setAddress({ exemplars: on ? 'off' : undefined }, { replace: true })}
      />
    </Tooltip>
  );
}
