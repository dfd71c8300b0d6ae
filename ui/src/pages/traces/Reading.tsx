import { Progress } from '@mantine/core';
import { formatCount } from '../../format/units';
import classes from './Traces.module.css';

/** While traces are read one by one: how far it is. */
export function Reading({ progress, of }: { progress: number; of: number }) {
  return (
    <div className={classes.reading} role="status" aria-label="Loading">
      <span>
        {formatCount(progress)} of {formatCount(of)} traces are read
      </span>
      <Progress value={of ? (progress / of) * 100 : 0} size="sm" aria-label="Traces read" />
    </div>
  );
}
