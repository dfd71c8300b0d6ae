import { Button } from '@mantine/core';
import classes from './Logs.module.css';
import { isLogql, toLogql } from './words';

/** What the typed search means: words as the LogQL that they become, which can be taken over and edited. One line, always. */
export function Meaning({ draft, onEdit }: { draft: string; onEdit: (logql: string) => void }) {
  const empty = draft.trim() === '';
  const logql = empty ? '' : toLogql(draft);
  return (
    <div className={classes.meaning} data-testid="meaning">
      {empty ? (
        <span>
          All logs show. Type <b>words</b>, <b>"an exact phrase"</b>, <b>-without</b>, <b>this OR that</b>,{' '}
          <b>component:checkout</b>, <b>level:error</b>; or LogQL, which begins with <b>{'{'}</b>.
        </span>
      ) : isLogql(draft) ? (
        <span>
          Read as LogQL
          {logql === draft.trim() ? (
            ''
          ) : (
            <>
              : <code>{logql}</code>
            </>
          )}
          . To search for it as it stands, put it in "quotes".
        </span>
      ) : (
        <>
          <span className={classes.meaningText}>
            Read as words, which means <code title={logql}>{logql}</code>
          </span>
          <Button size="compact-xs" variant="subtle" onClick={() => onEdit(logql)}>
            Edit as LogQL
          </Button>
        </>
      )}
    </div>
  );
}
