import { ActionIcon, Button, Group, Menu, Popover, TextInput, Tooltip } from '@mantine/core';
import {
  IconArrowBackUp,
  IconChevronDown,
  IconChevronLeft,
  IconChevronRight,
  IconClock,
  IconRefresh,
  IconZoomOut,
} from '@tabler/icons-react';
import { useState } from 'react';
import { inputText, PRESETS, rangeLabel, resolveRange } from './range';
import classes from './TimeControls.module.css';
import { REFRESH_SECONDS, useTime } from './useTime';

export function TimeControls() {
  const time = useTime();
  const { startMs, endMs } = time.range;
  const width = endMs - startMs;
  const shift = (by: number) => {
    time.zoom({ startMs: startMs + by, endMs: endMs + by });
  };
  return (
    <Group gap={6} wrap="nowrap">
      {time.back && <Icon label="Back to the range before" icon={<IconArrowBackUp size={16} />} onClick={time.back} />}
      <Button.Group>
        <Step label="Earlier" icon={<IconChevronLeft size={15} />} onClick={() => shift(-width / 2)} />
        <RangePicker />
        <Step
          label="Later"
          icon={<IconChevronRight size={15} />}
          onClick={() => shift(width / 2)}
          disabled={endMs >= time.nowMs}
        />
      </Button.Group>
      <Icon
        label="Twice as long"
        icon={<IconZoomOut size={16} />}
        onClick={() => time.zoom(widen(startMs, endMs, time.nowMs))}
      />
      <Button.Group>
        <Tooltip label="Refresh now">
          <Button variant="default" px={8} onClick={time.refresh} aria-label="Refresh now">
            <IconRefresh size={15} />
          </Button>
        </Tooltip>
        <RefreshMenu />
      </Button.Group>
    </Group>
  );
}

function widen(startMs: number, endMs: number, nowMs: number) {
  const width = endMs - startMs;
  const end = Math.min(endMs + width / 2, Math.max(nowMs, endMs));
  return { startMs: end - 2 * width, endMs: end };
}

function Icon({ label, icon, onClick }: { label: string; icon: React.ReactNode; onClick: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="default" size={30} aria-label={label} onClick={onClick}>
        {icon}
      </ActionIcon>
    </Tooltip>
  );
}

function Step({
  label,
  icon,
  onClick,
  disabled,
}: {
  label: string;
  icon: React.ReactNode;
  onClick: () => void;
  disabled?: boolean;
}) {
  return (
    <Tooltip label={label}>
      <Button variant="default" px={6} aria-label={label} onClick={onClick} disabled={disabled}>
        {icon}
      </Button>
    </Tooltip>
  );
}

function RangePicker() {
  const time = useTime();
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" trapFocus>
      <Popover.Target>
        <Button
          variant="default"
          px={10}
          leftSection={<IconClock size={15} />}
          rightSection={<IconChevronDown size={13} />}
          onClick={() => setOpen(!open)}
          aria-label={`Time range: ${rangeLabel(time.text, time.nowMs)}`}
          data-testid="time-range"
        >
          <span className={classes.label}>{rangeLabel(time.text, time.nowMs)}</span>
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0}>
        <div className={classes.picker}>
          <Absolute key={`${time.text.from} ${time.text.to}`} onDone={() => setOpen(false)} />
          <ul className={classes.presets} aria-label="Relative ranges">
            {PRESETS.map(({ label, from }) => (
              <li key={from}>
                <button
                  type="button"
                  className={classes.preset}
                  aria-current={time.text.from === from && time.text.to === 'now'}
                  onClick={() => {
                    time.setRange({ from, to: 'now' });
                    setOpen(false);
                  }}
                >
                  {label}
                </button>
              </li>
            ))}
          </ul>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

function Absolute({ onDone }: { onDone: () => void }) {
  const time = useTime();
  const [from, setFrom] = useState(inputText(time.range.startMs));
  const [to, setTo] = useState(time.text.to === 'now' ? 'now' : inputText(time.range.endMs));
  const readable = resolveRange({ from, to }, time.nowMs);
  const apply = () => {
    if (!readable) return;
    const keep = (text: string, ms: number) => (text.trim().startsWith('now') ? text.trim() : `${ms}`);
    time.setRange({ from: keep(from, readable.startMs), to: keep(to, readable.endMs) });
    onDone();
  };
  return (
    <form
      className={classes.absolute}
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      <TextInput label="From" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
      <TextInput label="To" value={to} onChange={(event) => setTo(event.currentTarget.value)} />
      <p className={classes.hint} role={readable ? undefined : 'alert'} data-bad={readable ? undefined : true}>
        {readable
          ? 'A local date and time, or now-90m, now-2d, now.'
          : 'Cannot read this range: give dates or now-90m, the start before the end.'}
      </p>
      <Button type="submit" disabled={!readable}>
        Apply
      </Button>
    </form>
  );
}

function RefreshMenu() {
  const time = useTime();
  const text = (seconds: number) => (seconds === 0 ? 'Off' : seconds === 60 ? '1m' : `${seconds}s`);
  return (
    <Menu position="bottom-end" shadow="md" width={150}>
      <Menu.Target>
        <Button
          variant="default"
          px={8}
          rightSection={<IconChevronDown size={13} />}
          aria-label={`Refresh by itself: ${text(time.everySeconds)}`}
        >
          <span className={classes.every}>{text(time.everySeconds)}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Refresh by itself</Menu.Label>
        {REFRESH_SECONDS.map((seconds) => (
          <Menu.Item key={seconds} onClick={() => time.setEvery(seconds)} aria-current={seconds === time.everySeconds}>
            {seconds === 0 ? 'Off' : `Every ${text(seconds)}`}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
