import { CloseButton, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, useState } from 'react';
import { metricNames } from '../../api/prometheus';
import { useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import { rangePhrase } from '../../time/range';
import { useTime } from '../../time/useTime';
import { useMetadata } from './useMetadata';
import { firstQuery, listMetrics, type Listed } from './names';
import classes from './Metrics.module.css';

/** What there is to ask for; `onPick` gets a first query that suits the chosen metric. */
export function MetricList({ onPick }: { onPick: (query: string) => void }) {
  const [address, setAddress] = useAddress();
  const time = useTime();
  const [search, setSearch] = useState('');
  const business = address.business_service;
  const start = Math.floor(time.range.startMs / 1000);
  const end = Math.ceil(time.range.endMs / 1000);
  const match = business ? `{business_service=${JSON.stringify(business)}}` : undefined;
  const names = useQuery({
    queryKey: ['metric-names', match, start, end, time.manual],
    queryFn: ({ signal }) => metricNames(match, start, end, signal),
    placeholderData: keepPreviousData,
  });
  const about = useMetadata();
  const listed = useMemo(() => listMetrics(names.data ?? [], about), [names.data, about]);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = listed.filter((metric) =>
    words.every((word) => `${metric.name} ${metric.help}`.toLowerCase().includes(word)),
  );
  return (
    <div className={classes.list}>
      <div className={classes.listHead}>
        <div>
          <h1>{business ? `Metrics of ${business}` : 'Metrics'}</h1>
          <p className="dim">
            {names.data ? `${shown.length} of ${listed.length}` : 'Names'} in {rangePhrase(time.text, time.nowMs)}.
            Choose one to draw it, or write a query above.
          </p>
        </div>
        {business && (
          <CloseButton
            aria-label={`Show the metrics of every business service, not only ${business}`}
            onClick={() => setAddress({ business_service: undefined })}
            title="Show all business services"
          />
        )}
        <TextInput
          ml="auto"
          w={280}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          placeholder="Search names and help"
          aria-label="Search metrics"
          leftSection={<IconSearch size={14} />}
        />
      </div>
      <div className={classes.listBody}>
        <Answer
          query={names}
          empty={() =>
            shown.length ? null : (
              <Empty
                title={listed.length ? `No metric has "${search}" in its name or help` : 'No metrics in this time'}
                hint={
                  listed.length
                    ? 'Fewer or shorter words find more.'
                    : 'Send OpenTelemetry metrics, or Prometheus remote write to /api/v1/write; or widen the time range.'
                }
              />
            )
          }
        >
          {() => <Rows metrics={shown} onPick={(metric) => onPick(firstQuery(metric, business))} />}
        </Answer>
      </div>
    </div>
  );
}

function Rows({ metrics, onPick }: { metrics: Listed[]; onPick: (metric: Listed) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: metrics.length,
    getScrollElement: () => box.current,
    estimateSize: () => 34,
    overscan: 10,
  });
  return (
    <div ref={box} className={classes.listScroll} data-testid="metric-list">
      <div style={{ position: 'relative', height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const metric = metrics[item.index];
          if (!metric) return null;
          return (
            <button
              key={metric.name}
              type="button"
              className={classes.metric}
              style={{ transform: `translateY(${item.start}px)` }}
              onClick={() => onPick(metric)}
            >
              <span className={classes.metricName}>{metric.name}</span>
              <span className={classes.type}>{metric.type}</span>
              <span className={classes.help}>{metric.help}</span>
            </button>
          );
        })}
      </div>
    </div>
  );
}
