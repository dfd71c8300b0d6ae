import { Button, CloseButton } from '@mantine/core';
import { IconAlertOctagonFilled, IconListDetails } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { Attributes } from '../../api/otlp';
import { timeWords, useAddress } from '../../app/address';
import { formatDuration } from '../../format/units';
import { ALL_LOGS } from '../logs/selector';
import classes from './SpanDetail.module.css';
import { logsAround, type Node, type TraceTree } from './tree';

interface Props {
  node: Node;
  tree: TraceTree;
  onClose: () => void;
  onSelect: (spanId: string) => void;
}

export function SpanDetail({ node, tree, onClose, onSelect }: Props) {
  const { span, parent } = node;
  const [address] = useAddress();
  const time = timeWords(address);
  const after = (ns: bigint) => formatDuration(Number(ns - tree.startNs) / 1e6);
  return (
    <aside className={classes.detail} aria-label="Span" data-testid="span-detail">
      <header>
        <div>
          <h2>{span.name}</h2>
          <p className="dim">
            {span.service} · {span.kind}
            {span.scope && ` · ${span.scope}`}
          </p>
        </div>
        <CloseButton aria-label="Close the span" onClick={onClose} />
      </header>
      <dl className={classes.facts}>
        <div>
          <dt>Duration</dt>
          <dd>{formatDuration(Number(span.endNs - span.startNs) / 1e6)}</dd>
        </div>
        <div>
          <dt>Begins after</dt>
          <dd>{after(span.startNs)}</dd>
        </div>
        <div>
          <dt>Status</dt>
          <dd data-status={span.status}>{span.status}</dd>
        </div>
      </dl>
      {span.status === 'error' && (
        <p className={classes.error}>
          <IconAlertOctagonFilled size={15} aria-hidden />
          {span.statusMessage || 'This span failed; its sender gave no message.'}
        </p>
      )}
      <Button
        fullWidth
        variant="default"
        leftSection={<IconListDetails size={14} />}
        renderRoot={(props: object) => (
          <Link
            {...props}
            to="/logs"
            search={{
              ...logsAround(tree, time),
              q: `${ALL_LOGS} | trace_id="${span.traceId}" | span_id="${span.spanId}"`,
            }}
          />
        )}
      >
        Logs of this span
      </Button>
      <List title="Attributes" fields={span.attributes} />
      {span.events.length > 0 && (
        <section>
          <h3>Events</h3>
          {span.events.map((event, index) => (
            <div key={index} className={classes.event} data-error={event.name === 'exception'}>
              <b>{event.name}</b> <span className="dim">after {after(event.ns)}</span>
              <Fields fields={event.attributes} />
            </div>
          ))}
        </section>
      )}
      {span.links.length > 0 && (
        <section>
          <h3>Links</h3>
          {span.links.map((link, index) => (
            <div key={index} className={classes.event}>
              <Link
                to="/trace/$traceId"
                params={{ traceId: link.traceId }}
                search={{ ...time, span: link.spanId }}
                className="mono"
              >
                {link.traceId}
              </Link>
              <Fields fields={link.attributes} />
            </div>
          ))}
        </section>
      )}
      <List title="Resource" fields={span.resource} />
      <List
        title="Ids"
        fields={[
          ['trace', span.traceId],
          ['span', span.spanId],
        ]}
      />
      {parent && (
        <button type="button" className={classes.parent} onClick={() => onSelect(parent.span.spanId)}>
          Go to the parent span
        </button>
      )}
      {node.orphan && (
        <p className="dim">
          Its parent <span className="mono">{span.parentId}</span> is not in this trace.
        </p>
      )}
    </aside>
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
        .map(([name, value], index) => (
          <div key={`${name} ${index}`}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
