import { ActionIcon, Button, CopyButton, Tooltip } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import {
  IconArrowsVertical,
  IconBraces,
  IconChartLine,
  IconCheck,
  IconColumnInsertRight,
  IconColumnRemove,
  IconCopy,
  IconLink,
  IconRoute,
  IconZoomIn,
  IconZoomOut,
} from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { LogRow } from '../../api/loki';
import { timeWords, useAddress } from '../../app/address';
import { isoNs } from '../../format/time';
import { Copy } from '../../status/Copy';
import { toggleColumn } from './columns';
import type { Origin } from './edit';
import { indented, jsonOf, rowJson, traceIdOf } from './line';
import { narrow } from './search';
import { UNASSIGNED } from './selector';
import { linkToRow } from './share';
import classes from './LogDetail.module.css';

interface Props {
  row: LogRow;
  search: string;
  columns: string[];
  onAround: () => void;
  onSearch: (search: string) => void;
  onColumns: (columns: string[]) => void;
}

export function LogDetail(props: Props) {
  const { row, search, columns, onSearch, onColumns } = props;
  const json = jsonOf(row.line) !== undefined;
  const [pretty, setPretty] = useLocalStorage({ key: 'tyto-pretty', defaultValue: false });
  const shared = { row, search, columns, onSearch, onColumns };
  return (
    <div className={classes.detail} data-testid="log-detail">
      <div className={classes.line}>
        <Owner row={row} search={search} onSearch={onSearch} />
        <Actions {...props} json={json} pretty={pretty} onPretty={() => setPretty(!pretty)} />
        <pre className={classes.text}>{json && pretty ? indented(row.line) : row.line}</pre>
      </div>
      <div className={classes.fields}>
        <Fields title="Stream labels" origin="stream" fields={row.stream} {...shared} />
        <Fields title="Structured metadata" origin="metadata" fields={row.metadata} {...shared} />
        <Fields title="Parsed from the line" origin="parsed" fields={row.parsed} {...shared} />
      </div>
    </div>
  );
}

/** Whose the row is, from the business down to the part that wrote it; each name narrows the search to itself. */
function Owner({ row, search, onSearch }: Pick<Props, 'row' | 'search' | 'onSearch'>) {
  const business = row.stream.business_service ?? UNASSIGNED;
  const names = [
    ['business_service', business],
    ['service', row.stream.service],
    ['component', row.stream.component],
  ] as const;
  return (
    <div className={classes.owner} data-testid="owner">
      <span className="dim">Owner</span>
      {names.map(
        ([name, value]) =>
          value && (
            <button
              key={name}
              type="button"
              title={`Only rows of this ${name.replace('_', ' ')}`}
              onClick={() => onSearch(narrow(search, { name, origin: 'stream' }, value, true))}
            >
              {value}
            </button>
          ),
      )}
      {row.stream.team && <span className="dim">team {row.stream.team}</span>}
    </div>
  );
}

interface ActionsProps extends Props {
  json: boolean;
  pretty: boolean;
  onPretty: () => void;
}

function Actions({ row, onAround, json, pretty, onPretty }: ActionsProps) {
  const [address] = useAddress();
  const trace = traceIdOf(row);
  const business = row.stream.business_service;
  const time = timeWords(address);
  return (
    <div className={classes.actions}>
      <span className="mono dim">{isoNs(row.ns)}</span>
      <Button size="compact-xs" variant="light" leftSection={<IconArrowsVertical size={13} />} onClick={onAround}>
        Lines around
      </Button>
      {trace && (
        <Button
          size="compact-xs"
          variant="light"
          leftSection={<IconRoute size={13} />}
          renderRoot={(props: object) => (
            <Link
              {...props}
              to="/trace/$traceId"
              params={{ traceId: trace }}
              search={{ ...time, span: row.metadata.span_id }}
            />
          )}
        >
          Open the trace
        </Button>
      )}
      {business && (
        <Button
          size="compact-xs"
          variant="light"
          leftSection={<IconChartLine size={13} />}
          renderRoot={(props: object) => (
            <Link {...props} to="/charts" search={{ ...time, business_service: business }} />
          )}
        >
          Metrics
        </Button>
      )}
      <Copy text={row.line} label="Copy the line" />
      <Copy text={rowJson(row)} label="Copy as JSON" />
      <Copy text={linkToRow(row, address)} label="Copy a link to it" icon={<IconLink size={13} />} />
      {json && (
        <Tooltip label="Line breaks and indentation are added; the rest is as it came">
          <Button
            size="compact-xs"
            variant={pretty ? 'light' : 'default'}
            leftSection={<IconBraces size={13} />}
            aria-pressed={pretty}
            onClick={onPretty}
          >
            Pretty
          </Button>
        </Tooltip>
      )}
    </div>
  );
}

interface FieldsProps extends Pick<Props, 'search' | 'columns' | 'onSearch' | 'onColumns'> {
  title: string;
  origin: Origin;
  fields: Record<string, string>;
}

function Fields({ title, origin, fields, search, columns, onSearch, onColumns }: FieldsProps) {
  const entries = Object.entries(fields).sort(([a], [b]) => a.localeCompare(b));
  if (entries.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <dl>
        {entries.map(([name, value]) => (
          <div key={name} className={classes.field}>
            <span className={classes.buttons}>
              <Small
                label={`Only rows with this ${name}`}
                onClick={() => onSearch(narrow(search, { name, origin }, value, true))}
              >
                <IconZoomIn size={14} />
              </Small>
              <Small
                label={`Without rows with this ${name}`}
                onClick={() => onSearch(narrow(search, { name, origin }, value, false))}
              >
                <IconZoomOut size={14} />
              </Small>
              <Small
                label={columns.includes(name) ? `Remove the column ${name}` : `Show ${name} as a column`}
                onClick={() => onColumns(toggleColumn(columns, name))}
              >
                {columns.includes(name) ? <IconColumnRemove size={14} /> : <IconColumnInsertRight size={14} />}
              </Small>
              <CopyButton value={value}>
                {({ copied, copy }) => (
                  <Small label={copied ? 'Copied' : `Copy ${name}`} onClick={copy}>
                    {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
                  </Small>
                )}
              </CopyButton>
            </span>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Small({ label, onClick, children }: { label: string; onClick: () => void; children: React.ReactNode }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size={20} aria-label={label} onClick={onClick}>
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
