import { useQuery } from '@tanstack/react-query';
import { fetchSetAside } from '../../api/quarantine';
import { clock, day } from '../../format/time';
import { Answer } from '../../status/Answer';
import classes from './Quarantine.module.css';
import { placeOf } from './words';

/** One record as far as anybody may see it: of what kind its values are, not the values. */
export function Example({ id }: { id: string }) {
  const record = useQuery({ queryKey: ['quarantined', id], queryFn: ({ signal }) => fetchSetAside(id, signal) });
  return (
    <div className={classes.example} data-testid="quarantine-example">
      <Answer query={record} compact>
        {({ state, timeMs, protocol, contractVersion, violations, attributes }) => (
          <>
            <p className="dim">
              Of {day(timeMs)} {clock(timeMs)}, came by {protocol}
              {contractVersion && <>, judged by version {contractVersion}</>}; {STATES[state] ?? state}. Values are not
              shown: who may see them asks in SQL for <code>quarantine_id = '{id}'</code>.
            </p>
            <table>
              <thead>
                <tr>
                  <th>What the record has</th>
                  <th>Kind of value</th>
                  <th>The rule</th>
                </tr>
              </thead>
              <tbody>
                {attributes.map(([name, kind]) => {
                  const broken = violations.find(({ path }) => path === name);
                  return (
                    <tr key={name} data-broken={broken !== undefined}>
                      <td className="mono">{name}</td>
                      <td>{kind}</td>
                      <td>{broken && `should be ${broken.expected} (${placeOf(broken.at)})`}</td>
                    </tr>
                  );
                })}
                {violations
                  .filter(({ path }) => !attributes.some(([name]) => name === path))
                  .map(({ path, rule, expected, found, at }) => (
                    <tr key={`${path} ${rule}`} data-broken>
                      <td className="mono">{path}</td>
                      <td>{found}</td>
                      <td>
                        {rule === 'required' ? 'must be there' : `should be ${expected}`} ({placeOf(at)})
                      </td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </>
        )}
      </Answer>
    </div>
  );
}

const STATES: Record<string, string> = {
  quarantined: 'it waits',
  released: 'it was let in',
  discarded: 'it was thrown away',
};
