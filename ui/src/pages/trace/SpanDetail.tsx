import { Button, CloseButton } from '@mantine/core';
import { IconAlertOctagonFilled, IconArrowUp, IconRoute, IconZoomScan } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { Attributes, SpanEvent } from '../../api/otlp';
import { timeWords, useAddress } from '../../app/address';
import { formatCount, formatDuration, formatPercent } from '../../format/units';
import { Copy } from '../../status/Copy';
import { printConditions } from '../traces/traceql';
import { messageOf } from './cause';
import { disagreement, type CriticalPath } from './critical';
import { identityOf } from './identity';
import classes from './SpanDetail.module.css';
import { SpanLogs } from './SpanLogs';
import { SpanMetrics } from './SpanMetrics';
import { disagreementWords } from './SpanRow';
import type { Node, TraceTree } from './tree';

interface Props {
  node: Node;
  tree: TraceTree;
  critical: CriticalPath | undefined;
  onClose: () => void;
  onSelect: (node: Node) => void;
  onZoom: (node: Node) => void;
}

export function SpanDetail({ node, tree, critical, onClose, onSelect, onZoom }: Props) {
  const { span, parent } = node;
  const after = (ms: number) => formatDuration(ms);
  const ofEvent = (ns: bigint) => Number(ns - tree.startNs) / 1e6;
  const odd = disagreement(node);
  const exceptions = span.events.filter(({ name }) => name === 'exception');
  const others = span.events.filter(({ name }) => name !== 'exception');
  return (
    <aside className={classes.detail} aria-label="Span" data-testid="span-detail">
      <header>
        <div>
          <h2>{span.name}</h2>
          <Owner node={node} />
        </div>
        <CloseButton aria-label="Close the span" onClick={onClose} />
      </header>
      <Facts node={node} critical={critical} />
      {span.status === 'error' && (
        <p className={classes.error}>
          <IconAlertOctagonFilled size={15} aria-hidden />
          {messageOf(span) || 'This span failed; its sender gave no message.'}
        </p>
      )}
      {odd && (
        <p className={classes.odd} data-kind={odd.kind}>
          {disagreementWords(odd)}
        </p>
      )}
      <Actions node={node} onSelect={onSelect} onZoom={onZoom} />
      <Events title="What it threw" events={exceptions} after={(ns) => after(ofEvent(ns))} />
      <SpanLogs span={span} tree={tree} />
      <List title="Attributes" fields={span.attributes} />
      <Events title="Events" events={others} after={(ns) => after(ofEvent(ns))} />
      <SpanMetrics span={span} tree={tree} />
      <Links node={node} />
      <List title="Resource" fields={span.resource} />
      <List
        title="Ids"
        fields={[
          ['trace', span.traceId, 'string'],
          ['span', span.spanId, 'string'],
          ...(span.scope ? ([['scope', span.scope, 'string']] satisfies Attributes) : []),
        ]}
      />
      {span.dropped > 0 && (
        <p className="dim">Its sender left out {formatCount(span.dropped)} attributes, events or links.</p>
      )}
      {node.orphan && (
        <p className="dim">
          Its parent <span className="mono">{span.parentId}</span> is not in this trace.
        </p>
      )}
      {parent && (
        <p className="dim">
          Called by <b>{parent.span.service}</b> {parent.span.name}.
        </p>
      )}
    </aside>
  );
}

/** Whose it is, from the business down to what sent it. */
function Owner({ node: { span } }: { node: Node }) {
  const { businessService, service, component, team, region } = identityOf(span);
  const path = [businessService, service, component].filter((name, index, all) => name && all.indexOf(name) === index);
  return (
    <p className={classes.owner} data-testid="identity">
      {path.map((name, index) => (
        <span key={name}>
          {index > 0 && <i aria-hidden> › </i>}
          <b>{name}</b>
        </span>
      ))}
      <span className="dim">
        {[team && `team ${team}`, region, span.kind !== 'unspecified' && span.kind].filter(Boolean).join(' · ')}
      </span>
    </p>
  );
}

function Facts({ node, critical }: { node: Node; critical: CriticalPath | undefined }) {
  const { span } = node;
  const held = critical?.shares.find((share) => share.node === node)?.ms;
  const total = critical ? critical.root.end - critical.root.start : 0;
  return (
    <dl className={classes.facts}>
      <Fact name="Duration" value={formatDuration(node.end - node.start)} />
      <Fact
        name="Own time"
        value={formatDuration(node.self)}
        title="While none of the spans below it ran: its own work, or waiting that nobody recorded"
      />
      <Fact name="Begins after" value={formatDuration(node.start)} />
      <Fact
        name="Critical"
        value={held ? `${formatDuration(held)} (${formatPercent(held / total)})` : 'no'}
        title="How much shorter the trace could be at most if this span took no time of its own"
      />
      <Fact name="Status" value={span.status} status={span.status} />
    </dl>
  );
}

function Fact({ name, value, title, status }: { name: string; value: string; title?: string; status?: string }) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd data-status={status}>{value}</dd>
    </div>
  );
}

function Actions({ node, onSelect, onZoom }: Pick<Props, 'node' | 'onSelect' | 'onZoom'>) {
  const { span, parent } = node;
  const [address] = useAddress();
  const like = printConditions([
    { name: 'resource.service.name', op: '=', value: { kind: 'string', text: span.service } },
    { name: 'name', op: '=', value: { kind: 'string', text: span.name } },
    ...(span.status === 'error' ? [{ name: 'status', op: '=', value: { kind: 'word', text: 'error' } } as const] : []),
  ]);
  return (
    <div className={classes.actions}>
      <Button
        size="compact-xs"
        variant="light"
        leftSection={<IconRoute size={13} />}
        renderRoot={(props: object) => <Link {...props} to="/traces" search={{ ...timeWords(address), q: like }} />}
      >
        Traces with {span.status === 'error' ? 'this failure' : 'this'}
      </Button>
      <Button size="compact-xs" variant="default" leftSection={<IconZoomScan size={13} />} onClick={() => onZoom(node)}>
        Zoom to it
      </Button>
      {parent && (
        <Button
          size="compact-xs"
          variant="default"
          leftSection={<IconArrowUp size={13} />}
          onClick={() => onSelect(parent)}
        >
          Parent
        </Button>
      )}
      <Copy text={span.spanId} label="Copy the id" />
    </div>
  );
}

function Events({ title, events, after }: { title: string; events: SpanEvent[]; after: (ns: bigint) => string }) {
  if (events.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      {events.map((event, index) => (
        <div key={index} className={classes.event} data-error={event.name === 'exception'}>
          <b>{event.name}</b> <span className="dim">after {after(event.ns)}</span>
          <Fields fields={event.attributes} />
        </div>
      ))}
    </section>
  );
}

function Links({ node }: { node: Node }) {
  const [address] = useAddress();
  if (node.span.links.length === 0) return null;
  return (
    <section>
      <h3>Links to other spans</h3>
      {node.span.links.map((link, index) => (
        <div key={index} className={classes.event}>
          <Link
            to="/trace/$traceId"
            params={{ traceId: link.traceId }}
            search={{ ...timeWords(address), span: link.spanId }}
            className="mono"
          >
            {link.traceId === node.span.traceId ? `span ${link.spanId} of this trace` : link.traceId}
          </Link>
          <Fields fields={link.attributes} />
        </div>
      ))}
    </section>
  );
}

function List({ title, fields }: { title: string; fields: Attributes }) {
  if (fields.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <Fields fields={fields} />
    </section>
  );
}

function Fields({ fields }: { fields: Attributes }) {
  return (
    <dl className={classes.fields}>
      {[...fields]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([name, value, type], index) => (
          <div key={`${name} ${index}`}>
            <dt>{name}</dt>
            <dd data-type={type} title={type === 'string' ? undefined : TYPE_NAMES[type]}>
              {type === 'empty' ? 'no value' : value === '' ? '""' : value}
              {type !== 'string' && <small>{TYPE_NAMES[type]}</small>}
            </dd>
          </div>
        ))}
    </dl>
  );
}

const TYPE_NAMES = {
  string: 'text',
  int: 'integer',
  double: 'number',
  bool: 'yes or no',
  bytes: 'bytes',
  array: 'list',
  map: 'map',
  empty: 'empty',
} as const;
