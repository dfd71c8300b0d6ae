import { Link } from '@tanstack/react-router';
import type { Entry, Gaps } from '../../api/catalogue';
import { timeWords, useAddress } from '../../app/address';
import classes from './Catalogue.module.css';
import { gapWords, said, short } from './words';

/** One entry in a line: what it is, whose it is, and what nobody has said of it. */
export function EntryRow({ entry, gaps }: { entry: Entry; gaps: Gaps }) {
  const [address] = useAddress();
  const { kind, path, name, description, teams, tier, expected, missing, parts } = entry;
  const above = path.slice(0, Math.max(0, path.length - name.length - 1));
  return (
    <div className={classes.row} data-testid="entry" data-kind={kind}>
      <div className={classes.what}>
        <Link
          to="/catalogue/$path"
          params={{ path }}
          search={{ ...timeWords(address), ...(kind === 'team' ? { kind } : {}) }}
          className={classes.name}
        >
          {name}
        </Link>
        <small className="dim ellipsis" title={description || undefined}>
          {[above.replaceAll('/', ' / '), description].filter(Boolean).join(' · ')}
          {kind === 'team' && `owns ${parts} ${parts === 1 ? 'entry' : 'entries'}`}
        </small>
      </div>
      <span className={classes.teams} data-name="Owner">
        {kind === 'team' ? '' : teams.length ? teams.join(', ') : <b className={classes.none}>nobody</b>}
      </span>
      <span className={classes.tier}>{tier && `tier ${tier}`}</span>
      <span className={classes.said}>
        <meter min={0} max={expected} value={expected - missing.length} aria-label="What is said of it" />
        <small className="dim">{said(entry)}</small>
      </span>
      <span className={classes.gaps}>
        {missing.map((gap) => (
          <span key={gap} title={`${gapWords(gap, gaps).what}. Write ${gapWords(gap, gaps).fix}`}>
            {short(gap)}
          </span>
        ))}
      </span>
    </div>
  );
}
