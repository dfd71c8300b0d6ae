import { SegmentedControl } from '@mantine/core';
import { useIsFetching } from '@tanstack/react-query';
import { useMemo } from 'react';
import { queryRange } from '../../api/prometheus';
import { useAddress } from '../../app/address';
import { promql } from '../../editor/promql';
import { QueryBar } from '../../editor/QueryBar';
import { useQueryText } from '../../editor/useQueryText';
import { MetricChart } from './MetricChart';
import { MetricList } from './MetricList';
import classes from './Metrics.module.css';
import { MetricTable } from './MetricTable';

export default function Metrics() {
  const [address, setAddress] = useAddress();
  const { query, draft, setDraft, run } = useQueryText();
  const language = useMemo(() => promql(), []);
  const running = useIsFetching({ queryKey: ['metrics', query] }) > 0;
  const table = address.view === 'table';
  return (
    <div className={classes.page}>
      <QueryBar
        draft={draft}
        onDraft={setDraft}
        onRun={() => run()}
        language={language}
        label="PromQL"
        placeholder="sum by (component) (rate(http_server_request_duration_seconds_count[5m]))"
        running={running}
      >
        <SegmentedControl
          size="sm"
          h={33}
          value={table ? 'table' : 'chart'}
          onChange={(view) => setAddress({ view: view === 'table' ? 'table' : undefined }, { replace: true })}
          data={[
            { value: 'chart', label: 'Chart' },
            { value: 'table', label: 'Table' },
          ]}
          aria-label="How to show the answer"
        />
      </QueryBar>
      {query === '' ? (
        <MetricList />
      ) : table ? (
        <MetricTable query={query} />
      ) : (
        <MetricChart
          query={query}
          source="metrics"
          ask={(start, end, step, signal) => queryRange(query, start, end, step, signal)}
        />
      )}
    </div>
  );
}
