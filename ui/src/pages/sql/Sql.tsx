import { Button } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { runSql } from '../../api/tyto';
import { useAddress } from '../../app/address';
import { QueryBar } from '../../editor/QueryBar';
import { sqlLanguage } from '../../editor/sql';
import { useQueryText } from '../../editor/useQueryText';
import { download, stamped } from '../../format/download';
import { formatCount, formatDuration } from '../../format/units';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { useTime } from '../../time/useTime';
import { toCsv } from './cells';
import { EXAMPLES } from './examples';
import { Grid } from './Grid';
import classes from './Sql.module.css';

export default function Sql() {
  const [, setAddress] = useAddress();
  const time = useTime();
  const { query: sql, draft, setDraft, run } = useQueryText();
  const answer = useQuery({
    queryKey: ['sql', sql, time.manual],
    enabled: sql !== '',
    queryFn: async ({ signal }) => {
      const started = performance.now();
      return { ...(await runSql(sql, signal)), tookMs: performance.now() - started };
    },
  });
  return (
    <div className={classes.page}>
      <QueryBar
        draft={draft}
        onDraft={setDraft}
        onRun={() => run()}
        language={sqlLanguage}
        label="SQL"
        placeholder="SELECT … FROM logs, spans, samples or points. Ctrl Enter runs."
        running={answer.isFetching}
        lines
      />
      <div className={classes.examples}>
        <span className="dim">Examples</span>
        {EXAMPLES.map((example) => (
          <button
            key={example.title}
            type="button"
            className={classes.example}
            onClick={() => setAddress({ q: example.sql })}
          >
            {example.title}
          </button>
        ))}
        <span className={classes.note}>SQL sees all time: the range above does not narrow it.</span>
      </div>
      <div className={classes.answer}>
        {sql === '' ? (
          <Empty
            title="Write a query, or choose an example"
            hint={
              <>
                Tables: <code>logs</code>, <code>spans</code>, <code>samples</code>, and <code>points</code> with one
                row for each sample. Ctrl Enter runs.
              </>
            }
          />
        ) : (
          <Answer
            query={answer}
            empty={(data) => (data.rows.length ? null : <NoRows sql={sql} columns={data.columns.length} />)}
          >
            {(data) => (
              <>
                <Grid columns={data.columns} rows={data.rows} />
                <div className={classes.foot}>
                  <span data-testid="sql-count">
                    {data.cut && 'The first '}
                    {formatCount(data.rows.length)} {data.rows.length === 1 ? 'row' : 'rows'} in{' '}
                    {formatDuration(Math.round(data.tookMs))}
                    {data.cut && ': the answer has more than a page can hold. Narrow it, or ask with curl.'}
                  </span>
                  <Button
                    size="compact-xs"
                    variant="default"
                    leftSection={<IconDownload size={13} />}
                    onClick={() => download(stamped('csv'), 'text/csv', [toCsv(data.columns, data.rows)])}
                  >
                    Download as CSV
                  </Button>
                </div>
              </>
            )}
          </Answer>
        )}
      </div>
    </div>
  );
}

function NoRows({ sql, columns }: { sql: string; columns: number }) {
  return (
    <Empty
      title="The query ran, and no row matches"
      hint={
        <>
          Asked <code>{sql}</code> ({columns} columns). Loosen its conditions; <code>SELECT count(*) FROM logs</code>{' '}
          shows whether there is data at all.
        </>
      }
    />
  );
}
