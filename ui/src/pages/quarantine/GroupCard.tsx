import { Button, Group, Modal } from '@mantine/core';
import { IconDoorEnter, IconTrash } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { settle, type Order, type Settled, type WaitingGroup } from '../../api/quarantine';
import { Sparkline } from '../../charts/Sparkline';
import { clock, day } from '../../format/time';
import { formatCount } from '../../format/units';
import { Problem } from '../../status/Problem';
import { Example } from './Example';
import classes from './Quarantine.module.css';
import { ownerOf, placeOf, wrong } from './words';

interface Props {
  group: WaitingGroup;
  onSettled: (settled: Settled) => void;
}

/** Records of one component with one thing wrong. */
export function GroupCard({ group, onSettled }: Props) {
  const [example, setExample] = useState<string>();
  const [asking, setAsking] = useState(false);
  const order = useMutation({
    mutationFn: (order: Order) => settle(order, group),
    onSuccess: onSettled,
  });
  const { name, below } = ownerOf(group);
  return (
    <article className={classes.card} data-testid="quarantine-group">
      <div className={classes.head}>
        <div>
          <h2>{wrong(group)}</h2>
          <p className="dim">
            <b>{name}</b> {below} {group.team && <>· team {group.team}</>} · contract {group.contract}, the rule stands
            at <code title={group.at}>{placeOf(group.at)}</code>
          </p>
        </div>
        <div className={classes.count}>
          <strong className="num">{formatCount(group.records)}</strong>
          <Sparkline values={group.trend} color="var(--warn)" label="How many came, from the first to the last" />
          <small className="dim">{[...new Set([moment(group.firstMs), moment(group.lastMs)])].join(' to ')}</small>
        </div>
      </div>
      <Group gap={8} className={classes.actions}>
        <Button
          size="xs"
          leftSection={<IconDoorEnter size={15} />}
          loading={order.isPending}
          onClick={() => {
            order.mutate('replay');
          }}
        >
          Let in what keeps the contract now
        </Button>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconTrash size={15} />}
          disabled={order.isPending}
          onClick={() => {
            setAsking(true);
          }}
        >
          Throw away
        </Button>
        <span className={classes.examples}>
          {group.examples.map((id, index) => (
            <button
              key={id}
              type="button"
              aria-expanded={example === id}
              onClick={() => {
                setExample(example === id ? undefined : id);
              }}
            >
              Example {index + 1}
            </button>
          ))}
        </span>
      </Group>
      {order.error && <Problem error={order.error} compact />}
      {example && <Example id={example} />}
      <Modal
        opened={asking}
        onClose={() => {
          setAsking(false);
        }}
        title={`Throw ${formatCount(group.records)} records away?`}
      >
        <p>
          {wrong(group)}. They will be in no answer, and cannot be let in later. Those that come from now on are not
          touched.
        </p>
        <Group justify="flex-end">
          <Button
            variant="default"
            onClick={() => {
              setAsking(false);
            }}
          >
            Keep them
          </Button>
          <Button
            color="red"
            onClick={() => {
              setAsking(false);
              order.mutate('discard');
            }}
          >
            Throw away
          </Button>
        </Group>
      </Modal>
    </article>
  );
}

function moment(ms: number): string {
  return `${day(ms)} ${clock(ms).slice(0, 8)}`;
}
