import { Modal } from '@mantine/core';
import { useIsFetching } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useAddress } from '../../app/address';
import { promql } from '../../editor/promql';
import { Empty } from '../../status/Empty';
import { useTime } from '../../time/useTime';
import { Charts } from './Charts';
import { Explain } from './Explain';
import { MetricList } from './MetricList';
import classes from './Metrics.module.css';
import { MetricTable } from './MetricTable';
import { freeLetter } from './queries';
import { QueryRows } from './QueryRows';
import { useRows, type Rows } from './useRows';

export default function Metrics() {
  const [address] = useAddress();
  const rows = useRows();
  const language = useLanguage();
  const [browsing, setBrowsing] = useState(false);
  const running = useIsFetching({ queryKey: ['metrics'] }) > 0;
  const { asked } = rows;
  const on = useMemo(() => asked.filter(({ off }) => !off), [asked]);
  return (
    <div className={classes.page}>
      <QueryRows rows={rows} language={language} running={running} onBrowse={() => setBrowsing(true)} />
      {asked.length === 0 ? (
        <MetricList onPick={(query) => rows.run({ [rows.rows[0]?.letter ?? 'A']: query })} />
      ) : on.length === 0 ? (
        <Empty title="All queries are switched off" hint="The eye beside a query switches it on again." />
      ) : address.view === 'table' ? (
        <MetricTable asked={on} />
      ) : address.view === 'explain' ? (
        <Explain asked={on} />
      ) : (
        <Charts asked={on} />
      )}
      <Modal
        opened={browsing}
        onClose={() => setBrowsing(false)}
        size="min(1100px, 94vw)"
        withCloseButton={false}
        padding={0}
      >
        <div className={classes.browser}>
          <MetricList
            onPick={(query) => {
              setBrowsing(false);
              rows.run({ [letterFor(rows)]: query });
            }}
          />
        </div>
      </Modal>
    </div>
  );
}

/** A chosen metric goes into the first empty editor, else into a new one, else into the last. */
function letterFor({ rows }: Rows) {
  const taken = rows.map(({ letter }) => letter);
  return rows.find(({ draft }) => !draft.trim())?.letter ?? freeLetter(taken) ?? taken.at(-1) ?? 'A';
}

/** One language for all editors, which would lose their history with another; it reads the range when it completes. */
function useLanguage() {
  const { range } = useTime();
  const latest = useRef(range);
  useEffect(() => {
    latest.current = range;
  });
  return useMemo(
    () =>
      promql(() => ({
        start: Math.floor(latest.current.startMs / 1000),
        end: Math.ceil(latest.current.endMs / 1000),
      })),
    [],
  );
}
