import { Button, Checkbox, Menu, Popover, SegmentedControl, Switch, TextInput, Tooltip } from '@mantine/core';
import {
  IconColumns3,
  IconLayoutSidebarLeftCollapse,
  IconLayoutSidebarLeftExpand,
  IconLink,
  IconSortAscending,
  IconSortDescending,
} from '@tabler/icons-react';
import { useState, type ReactNode } from 'react';
import { useAddress } from '../../app/address';
import { useTime } from '../../time/useTime';
import { COLUMNS_MAX, SOURCE, toggleColumn } from './columns';
import { ExportDialog } from './ExportDialog';
import classes from './Logs.module.css';
import { SavedSearches } from './SavedSearches';
import { linkToPage } from './share';
import tools from './Tools.module.css';
import { useFacets } from './useFacets';

export type View = 'rows' | 'json' | 'patterns';

interface Props {
  logql: string;
  view: View;
  newestFirst: boolean;
  wrap: boolean;
  columns: string[];
  onColumns: (columns: string[]) => void;
  fieldsShown: boolean;
  onFields: () => void;
  live: boolean;
  /** How many rows show. */
  count: ReactNode;
}

/** What applies to all rows: how they show, and what can be done with them. */
export function Toolbar(props: Props) {
  const { logql, view, newestFirst, wrap, columns, onColumns, fieldsShown, onFields, live, count } = props;
  const [, setAddress] = useAddress();
  const Side = fieldsShown ? IconLayoutSidebarLeftCollapse : IconLayoutSidebarLeftExpand;
  const Order = newestFirst ? IconSortDescending : IconSortAscending;
  return (
    <div className={classes.toolbar} role="toolbar" aria-label="Rows">
      <Button
        size="compact-sm"
        variant="subtle"
        leftSection={<Side size={15} />}
        aria-pressed={fieldsShown}
        onClick={onFields}
        data-testid="fields"
      >
        Fields
      </Button>
      <SegmentedControl
        value={view}
        onChange={(next) =>
          setAddress({ view: next === 'rows' ? undefined : next, ...(next === 'patterns' ? { live: undefined } : {}) })
        }
        data={[
          { value: 'rows', label: 'Rows' },
          { value: 'json', label: 'JSON' },
          { value: 'patterns', label: 'Patterns' },
        ]}
        aria-label="How to show the rows"
      />
      <span className={classes.count} data-testid="row-count">
        {count}
      </span>
      <span className={classes.tools}>
        {view !== 'patterns' && (
          <>
            <Tooltip label="Which end of the time comes first">
              <Button
                size="compact-sm"
                variant="subtle"
                leftSection={<Order size={14} />}
                onClick={() => setAddress({ order: newestFirst ? 'old' : undefined }, { replace: true })}
                data-testid="order"
              >
                {newestFirst ? 'Newest first' : 'Oldest first'}
              </Button>
            </Tooltip>
            {view === 'rows' && <Columns logql={logql} columns={columns} onColumns={onColumns} />}
            <Switch
              label="Break long lines"
              checked={wrap}
              onChange={() => setAddress({ wrap: wrap ? undefined : '1' }, { replace: true })}
            />
          </>
        )}
        <SavedSearches />
        <Share />
        <ExportDialog
          logql={logql}
          direction={newestFirst ? 'backward' : 'forward'}
          columns={columns}
          disabled={live}
        />
      </span>
    </div>
  );
}

function Columns({ logql, columns, onColumns }: Pick<Props, 'logql' | 'columns' | 'onColumns'>) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={280} shadow="md" trapFocus>
      <Popover.Target>
        <Button
          size="compact-sm"
          variant="subtle"
          leftSection={<IconColumns3 size={14} />}
          aria-expanded={opened}
          onClick={() => setOpened(!opened)}
        >
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        {opened && <ColumnList logql={logql} columns={columns} onColumns={onColumns} />}
      </Popover.Dropdown>
    </Popover>
  );
}

function ColumnList({ logql, columns, onColumns }: Pick<Props, 'logql' | 'columns' | 'onColumns'>) {
  const { facets } = useFacets(logql, true);
  const [filter, setFilter] = useState('');
  const others = facets.map(({ name }) => name).filter((name) => !columns.includes(name));
  const names = [...new Set([...columns, SOURCE, ...others])].filter((name) =>
    titleOf(name).toLowerCase().includes(filter.trim().toLowerCase()),
  );
  return (
    <div className={tools.columns}>
      <TextInput
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
        placeholder="Find a field"
        aria-label="Find a field for a column"
      />
      <div>
        {names.map((name) => (
          <Checkbox
            key={name}
            size="xs"
            label={titleOf(name)}
            checked={columns.includes(name)}
            disabled={columns.length >= COLUMNS_MAX && !columns.includes(name)}
            onChange={() => onColumns(toggleColumn(columns, name))}
          />
        ))}
      </div>
    </div>
  );
}

function titleOf(name: string): string {
  return name === SOURCE ? 'Component (usual)' : name;
}

function Share() {
  const [address] = useAddress();
  const time = useTime();
  const [copied, setCopied] = useState(false);
  const copy = (link: string) => {
    void navigator.clipboard.writeText(link).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <Button size="compact-sm" variant="subtle" leftSection={<IconLink size={14} />}>
          {copied ? 'Copied' : 'Share'}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => copy(linkToPage(address, time.range))}>Copy a link to exactly these times</Menu.Item>
        <Menu.Item onClick={() => copy(linkToPage(address, undefined))}>
          Copy the link as it is{time.text.to === 'now' ? ', which moves with the clock' : ''}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
