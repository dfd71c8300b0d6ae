import { ActionIcon, Button, CopyButton, Tooltip } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { IconBraces, IconCheck, IconCopy, IconRoute, IconZoomIn, IconZoomOut } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { LogRow } from '../../api/loki';
import { timeWords, useAddress } from '../../app/address';
import { isoNs } from '../../format/time';
import { filterLabel, type Origin } from './edit';
import { indented, jsonOf, traceIdOf } from './line';
import classes from './LogDetail.module.css';

interface Props {
  row: LogRow;
  query: string;
  onQuery: (query: string) => void;
}

export function LogDetail({ row, query, onQuery }: Props) {
  const [address] = useAddress();
  const json = jsonOf(row.line) !== undefined;
  const [pretty, setPretty] = useLocalStorage({ key: 'tyto-pretty', defaultValue: false });
  const trace = traceIdOf(row);
  return (
    <div className={classes.detail} data-testid="log-detail">
      <div className={classes.line}>
        <div className={classes.actions}>
          <span className="mono dim">{isoNs(row.ns)}</span>
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
                  search={{ ...timeWords(address), span: row.metadata.span_id }}
                />
              )}
            >
              Open the trace
            </Button>
          )}
          <Copy text={row.line} label="Copy the line" />
          {json && (
            <Tooltip label="Line breaks and indentation are added; the rest is as it came">
              <Button
                size="compact-xs"
                variant={pretty ? 'light' : 'default'}
                leftSection={<IconBraces size={13} />}
                aria-pressed={pretty}
                onClick={() => setPretty(!pretty)}
              >
                Pretty
              </Button>
            </Tooltip>
          )}
        </div>
        <pre className={classes.text}>{json && pretty ? indented(row.line) : row.line}</pre>
      </div>
      <div className={classes.fields}>
        <Fields title="Stream labels" origin="stream" fields={row.stream} query={query} onQuery={onQuery} />
        <Fields title="Structured metadata" origin="metadata" fields={row.metadata} query={query} onQuery={onQuery} />
        <Fields title="Parsed from the line" origin="parsed" fields={row.parsed} query={query} onQuery={onQuery} />
      </div>
    </div>
  );
}

interface FieldsProps {
  title: string;
  origin: Origin;
  fields: Record<string, string>;
  query: string;
  onQuery: (query: string) => void;
}

function Fields({ title, origin, fields, query, onQuery }: FieldsProps) {
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
                onClick={() => onQuery(filterLabel(query, origin, name, true, value))}
              >
                <IconZoomIn size={14} />
              </Small>
              <Small
                label={`Without rows with this ${name}`}
                onClick={() => onQuery(filterLabel(query, origin, name, false, value))}
              >
                <IconZoomOut size={14} />
              </Small>
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

export function Copy({ text, label }: { text: string; label: string }) {
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Button
          size="compact-xs"
          variant="default"
          leftSection={copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
          onClick={copy}
        >
          {copied ? 'Copied' : label}
        </Button>
      )}
    </CopyButton>
  );
}
