import type { Maturity } from '../../api/scorecard';
import classes from './Scorecard.module.css';
import { levelName } from './words';

interface Props {
  level: number | undefined;
  levels: Maturity[];
  /** Of many: how many stand at each. */
  atLevel?: number[];
}

/** A level as steps that are filled, and in words for whoever does not see them. */
export function Steps({ level, levels, atLevel }: Props) {
  const name = levelName(level, levels);
  const spread = atLevel
    ?.map((count, index) => (count ? `${count} ${levels[index]?.name.toLowerCase() ?? ''}` : ''))
    .filter(Boolean)
    .join(', ');
  return (
    <span className={classes.standing} data-level={level ?? 0} title={spread || undefined}>
      <span className={classes.steps} aria-hidden>
        {levels.map((each) => (
          <i key={each.level} data-filled={level !== undefined && each.level <= level} />
        ))}
      </span>
      {level === undefined ? name : `${level} ${name}`}
    </span>
  );
}
