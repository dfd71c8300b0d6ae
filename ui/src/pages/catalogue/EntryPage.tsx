import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { Fragment, useEffect, type ReactNode } from 'react';
import { fetchEntry, type CataloguePage, type Entry, type HeldLink } from '../../api/catalogue';
import { timeWords, useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { useTime } from '../../time/useTime';
import { ofBusinessService } from '../logs/selector';
import classes from './Catalogue.module.css';
import { EntryRow } from './EntryRow';
import { contactLink, contactWords, dependencyWords, gapWords, KINDS, ruleWords, said } from './words';

/** One entry of the catalogue: who answers for it, how it is known, what it needs, and what nobody has said. */
export default function EntryPage() {
  const { path } = useParams({ from: '/catalogue/$path' });
  const { manual } = useTime();
  const [{ kind }] = useAddress();
  const page = useQuery({
    queryKey: ['catalogue-entry', path, kind, manual],
    queryFn: ({ signal }) => fetchEntry(path, kind, signal),
  });
  useEffect(() => {
    document.title = `${path.slice(path.lastIndexOf('/') + 1)} · Catalogue · Tyto`;
  }, [path]);
  return (
    <div className={classes.scroll}>
      <Answer query={page}>{(found) => <Known page={found} />}</Answer>
    </div>
  );
}

function Known({ page }: { page: CataloguePage }) {
  const { entry } = page;
  return (
    <div className={classes.entry}>
      <Head entry={entry} />
      <Missing page={page} />
      <div className={classes.cards}>
        <Owners page={page} />
        {entry.kind !== 'team' && <Facts page={page} />}
        {entry.kind !== 'team' && <Night page={page} />}
        {entry.kind === 'component' && <Rules page={page} />}
        {entry.kind === 'component' && <Needs page={page} />}
      </div>
      {page.parts.length > 0 && (
        <section>
          <h2>{entry.kind === 'team' ? 'What it owns' : 'What it consists of'}</h2>
          <div className={classes.parts}>
            {page.parts.map((part) => (
              <EntryRow key={`${part.kind} ${part.path}`} entry={part} gaps={page.gaps} />
            ))}
          </div>
        </section>
      )}
      {page.declaredAt && (
        <p className="dim">
          Declared in <code>{page.declaredAt}</code>
        </p>
      )}
    </div>
  );
}

function Head({ entry }: { entry: Entry }) {
  const [address] = useAddress();
  const time = timeWords(address);
  const { kind, name, path, description } = entry;
  const above = path.split('/').slice(0, -1);
  return (
    <header className={classes.head}>
      <div>
        <p className="dim">
          <Link to="/catalogue" search={{ ...time, ...(kind === 'component' ? {} : { view: kind }) }}>
            Catalogue
          </Link>
          {kind !== 'team' &&
            above.map((part, index) => (
              <Fragment key={part}>
                {' / '}
                <Link to="/catalogue/$path" params={{ path: above.slice(0, index + 1).join('/') }} search={time}>
                  {part}
                </Link>
              </Fragment>
            ))}
        </p>
        <h1>{name}</h1>
        <p>
          {KINDS[kind].one[0]?.toUpperCase()}
          {KINDS[kind].one.slice(1)}
          {description && `: ${description}`}
        </p>
      </div>
      <nav aria-label="Look into">
        {kind === 'team' ? (
          <>
            <Link to="/scorecard" search={{ ...time, team: name }}>
              Scorecard
            </Link>
            <Link to="/quarantine" search={{ ...time, team: name }}>
              Quarantine
            </Link>
          </>
        ) : (
          <>
            <Link to="/service/$name" params={{ name: path }} search={{ ...time, kind }}>
              How it does
            </Link>
            <Link to="/map" search={{ ...time, node: `${kind}:${path}`, focus: `${kind}:${path}`, reach: 'near' }}>
              On the map
            </Link>
            {kind === 'business_service' && (
              <Link to="/logs" search={{ ...time, q: ofBusinessService(name) }}>
                Logs
              </Link>
            )}
            <Link to="/scorecard" search={{ ...time, business_service: path.split('/')[0] }}>
              Scorecard
            </Link>
          </>
        )}
      </nav>
    </header>
  );
}

function Missing({ page: { entry, gaps } }: { page: CataloguePage }) {
  if (entry.missing.length === 0)
    return (
      <p className={classes.complete} data-testid="complete">
        <IconCircleCheck size={18} aria-hidden /> It says all that is expected of it.
      </p>
    );
  return (
    <section className={classes.missing} data-testid="missing">
      <h2>
        <IconAlertTriangle size={16} aria-hidden /> It says {said(entry)} things that are expected. Missing:
      </h2>
      <ul>
        {entry.missing.map((gap) => (
          <li key={gap}>
            {gapWords(gap, gaps).what}. <span className="dim">Write</span> <code>{gapWords(gap, gaps).fix}</code>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={classes.card}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** Where a value is said, if it is not here. */
function From({ from, entry }: { from: string; entry: Entry }) {
  const [address] = useAddress();
  if (!from || from === entry.path) return null;
  return (
    <small className="dim">
      {' '}
      as{' '}
      <Link to="/catalogue/$path" params={{ path: from }} search={timeWords(address)}>
        {from.slice(from.lastIndexOf('/') + 1)}
      </Link>{' '}
      says
    </small>
  );
}

function Owners({ page: { entry, owners, ownersFrom } }: { page: CataloguePage }) {
  const [address] = useAddress();
  return (
    <Card title={entry.kind === 'team' ? 'How it is reached' : 'Who answers for it'}>
      {owners.length === 0 && <p className={classes.none}>Nobody.</p>}
      {owners.map(({ team, contacts }) => (
        <div key={team} className={classes.owner}>
          {entry.kind !== 'team' && (
            <Link to="/catalogue/$path" params={{ path: team }} search={{ ...timeWords(address), kind: 'team' }}>
              <b>{team}</b>
            </Link>
          )}
          {contacts.length === 0 && <p className={classes.none}>No contact is named.</p>}
          <dl>
            {contacts.map(([kind, value]) => {
              const href = contactLink(kind, value);
              return (
                <Fragment key={kind}>
                  <dt>{contactWords(kind)}</dt>
                  <dd>{href ? <a href={href}>{value}</a> : value}</dd>
                </Fragment>
              );
            })}
          </dl>
        </div>
      ))}
      <From from={ownersFrom} entry={entry} />
    </Card>
  );
}

const FACTS = [
  [
    'tier',
    'How much it matters',
    (value: string) => `tier ${value} (0: everything hangs on it, 4: nobody notices soon)`,
  ],
  ['environment', 'Environment', (value: string) => value],
  ['cost_centre', 'Who pays', (value: string) => `cost centre ${value}`],
  ['contract', 'Its log records follow', (value: string) => `contract ${value}`],
] as const;

function Facts({ page: { entry, held, retention } }: { page: CataloguePage }) {
  return (
    <Card title="What is known of it">
      <dl>
        {FACTS.map(([key, title, words]) => {
          const value = held[key];
          return (
            <Fragment key={key}>
              <dt>{title}</dt>
              <dd>
                {value ? (
                  words(value.value)
                ) : key === 'environment' ? (
                  <span className="dim">what each record says</span>
                ) : (
                  <span className={classes.none}>not said</span>
                )}
                {value && <From from={value.from} entry={entry} />}
              </dd>
            </Fragment>
          );
        })}
        {retention.map(([table, time]) => (
          <Fragment key={table}>
            <dt>Its {table} are kept</dt>
            <dd>{time}</dd>
          </Fragment>
        ))}
      </dl>
    </Card>
  );
}

function Night({ page: { entry, runbooks, links } }: { page: CataloguePage }) {
  const list = (all: HeldLink[]) => (
    <ul>
      {all.map((link) => (
        <li key={`${link.url} ${link.from}`}>
          <a href={link.url} rel="noreferrer" target="_blank">
            {link.title}
          </a>
          <From from={link.from} entry={entry} />
        </li>
      ))}
    </ul>
  );
  return (
    <Card title="When it fails">
      {runbooks.length ? list(runbooks) : <p className={classes.none}>There is no runbook.</p>}
      {links.length > 0 && (
        <>
          <h3>Links</h3>
          {list(links)}
        </>
      )}
    </Card>
  );
}

function Rules({ page: { rules } }: { page: CataloguePage }) {
  return (
    <Card title="What claims its records">
      {rules.length === 0 && <p className={classes.none}>No rule: only records that name it themselves are its.</p>}
      <ul>
        {rules.map((rule) => (
          <li key={JSON.stringify(rule)}>
            {rule.map(([attribute, pattern], index) => {
              const [asks, value] = ruleWords(attribute, pattern);
              return (
                <Fragment key={attribute}>
                  {index > 0 && ', and '}
                  {asks} <code>{value}</code>
                </Fragment>
              );
            })}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Needs({ page: { dependsOn, neededBy } }: { page: CataloguePage }) {
  const [address] = useAddress();
  const component = (path: string) => (
    <Link to="/catalogue/$path" params={{ path }} search={timeWords(address)}>
      {path.replaceAll('/', ' / ')}
    </Link>
  );
  return (
    <Card title="What it depends on, as its team says">
      {dependsOn === undefined ? (
        <p className={classes.none}>Nobody has said: its calls are compared with nothing.</p>
      ) : dependsOn.length === 0 ? (
        <p>Nothing.</p>
      ) : (
        <ul>
          {dependsOn.map((each) => (
            <li key={`${each.kind} ${each.name}`}>
              {each.kind === 'component' ? component(each.name) : dependencyWords(each)}
            </li>
          ))}
        </ul>
      )}
      {neededBy.length > 0 && (
        <>
          <h3>Who says that it needs this</h3>
          <ul>
            {neededBy.map((path) => (
              <li key={path}>{component(path)}</li>
            ))}
          </ul>
        </>
      )}
    </Card>
  );
}
