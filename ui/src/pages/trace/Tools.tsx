import { ActionIcon, Button, SegmentedControl, TextInput, Tooltip } from '@mantine/core';
import {
  IconAlertOctagon,
  IconChevronDown,
  IconChevronUp,
  IconMinus,
  IconPlus,
  IconSearch,
  IconX,
} from '@tabler/icons-react';
import { useRef, type KeyboardEvent, type RefObject } from 'react';
import { formatCount } from '../../format/units';
import classes from './Trace.module.css';

export type Show = 'all' | 'path' | 'errors';

interface Props {
  find: string;
  onFind: (text: string) => void;
  /** How many spans hold it, and which of them is selected, from 1; 0 when none is. */
  hits: number;
  hit: number;
  onHit: (backward: boolean) => void;
  field: RefObject<HTMLInputElement | null>;
  show: Show;
  onShow: (show: Show) => void;
  levels: number;
  levelsMax: number;
  onLevels: (levels: number) => void;
  errors: number;
  onError: (backward: boolean) => void;
}

/** What finds a span among many: words, the critical path, failures, levels. */
export function Tools(props: Props) {
  const { find, onFind, hits, hit, onHit, field, show, onShow, levels, levelsMax, onLevels, errors, onError } = props;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') onHit(event.shiftKey);
    else if (event.key === 'Escape') {
      if (find) onFind('');
      else field.current?.blur();
    } else return;
    event.preventDefault();
  };
  return (
    <div className={classes.tools} role="toolbar" aria-label="Spans">
      <div className={classes.find}>
        <TextInput
          ref={field}
          value={find}
          onChange={(event) => onFind(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          placeholder="Find in spans: words, name=value"
          aria-label="Find in spans"
          leftSection={<IconSearch size={14} />}
          data-query
        />
        <span className={classes.hits} role="status" data-testid="hits">
          {find.trim() && (hits ? `${hit ? `${formatCount(hit)} of ` : ''}${formatCount(hits)}` : 'nowhere')}
        </span>
        <Small label="Previous (N)" onClick={() => onHit(true)} disabled={hits === 0}>
          <IconChevronUp size={15} />
        </Small>
        <Small label="Next (n)" onClick={() => onHit(false)} disabled={hits === 0}>
          <IconChevronDown size={15} />
        </Small>
        {find && (
          <Small label="Find nothing" onClick={() => onFind('')}>
            <IconX size={14} />
          </Small>
        )}
      </div>
      <SegmentedControl
        value={show}
        onChange={(next) => onShow(next as Show)}
        data={[
          { value: 'all', label: 'All spans' },
          { value: 'path', label: 'Critical path' },
          { value: 'errors', label: 'Errors', disabled: errors === 0 },
        ]}
        aria-label="Which spans show"
      />
      <div className={classes.levels}>
        <Small label="One level less (-)" onClick={() => onLevels(levels - 1)} disabled={levels <= 1}>
          <IconMinus size={14} />
        </Small>
        <span data-testid="levels">
          {levels >= levelsMax ? `All ${levelsMax} levels` : `${levels} of ${levelsMax} levels`}
        </span>
        <Small label="One level more (+)" onClick={() => onLevels(levels + 1)} disabled={levels >= levelsMax}>
          <IconPlus size={14} />
        </Small>
      </div>
      {errors > 0 && (
        <Tooltip label="Next failed span (e), previous (E)">
          <Button
            size="compact-sm"
            variant="subtle"
            color="red"
            className={classes.nextError}
            leftSection={<IconAlertOctagon size={14} />}
            onClick={() => onError(false)}
          >
            Next error
          </Button>
        </Tooltip>
      )}
    </div>
  );
}

interface SmallProps {
  label: string;
  onClick: () => void;
  disabled?: boolean;
  children: React.ReactNode;
}

function Small({ label, onClick, disabled, children }: SmallProps) {
  const target = useRef<HTMLButtonElement>(null);
  return (
    <Tooltip label={label}>
      <ActionIcon
        ref={target}
        variant="subtle"
        color="gray"
        size={24}
        aria-label={label}
        onClick={onClick}
        disabled={disabled}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
