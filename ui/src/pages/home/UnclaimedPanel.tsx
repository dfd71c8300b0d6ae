import { IconTag } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { Fragment } from 'react';
import type { Overview } from '../../api/tyto';
import { timeWords, useAddress } from '../../app/address';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { unclaimedParts } from './unclaimed';
import classes from './UnclaimedPanel.module.css';

interface Props {
  unassigned: Overview['unassigned'];
}

/** Below the services: what nobody claims beside them. */
export function UnclaimedLine({ unassigned }: Props) {
  const [address] = useAddress();
  const parts = unclaimedParts(unassigned);
  if (parts.length === 0) return null;
  return (
    <p className={classes.line}>
      Nobody claims{' '}
      {parts.map(({ count, noun, to, words }, index) => (
        <Fragment key={to}>
          {index > 0 && (index === parts.length - 1 ? ' and ' : ', ')}
          <Link to={to} search={{ ...timeWords(address), ...words }}>
            {count} {noun}
          </Link>
        </Fragment>
      ))}{' '}
      yet:{' '}
      <Link to="/catalogue" search={{ ...timeWords(address), view: 'unclaimed' }}>
        a rule in the catalogue
      </Link>{' '}
      gives them an owner.
    </p>
  );
}

const LOOK: Record<string, string> = {
  '/logs': 'Read the logs',
  '/traces': 'See the traces',
  '/charts': 'Draw metrics',
};

const EXAMPLE = `business_services:
  - name: video-playback
    services:
      - name: player
        components:
          - name: player-web
            match:
              - service.name: player-web`;

/** In place of the services while there are none: the data is here, and this is how it gets an owner. */
export function UnclaimedPanel({ unassigned }: Props) {
  const [address] = useAddress();
  const time = useTime();
  return (
    <section className={classes.panel} data-testid="unclaimed">
      <header>
        <IconTag size={26} stroke={1.7} aria-hidden />
        <div>
          <h1>Data arrives, and no business service claims it yet</h1>
          <p className="dim">
            In {rangePhrase(time.text, time.nowMs)}. Everything is kept and can be asked for; this page needs to know
            what belongs to whom.
          </p>
        </div>
      </header>
      <ul>
        {unclaimedParts(unassigned).map(({ count, noun, to, words }) => (
          <li key={to}>
            <b>{count}</b> {noun}
            <Link to={to} search={{ ...timeWords(address), ...words }}>
              {LOOK[to]}
            </Link>
          </li>
        ))}
      </ul>
      <div className={classes.how}>
        <h2>How to claim it</h2>
        <p>
          Say in a catalogue file which business service, service and component a <code>service.name</code> belongs to,
          and start Tyto with it: <code>tyto serve --catalog omd.yaml</code>. All rules are in{' '}
          <code>docs/catalogue.md</code>. What has arrived before stays as it is.
        </p>
        <pre>{EXAMPLE}</pre>
      </div>
    </section>
  );
}
