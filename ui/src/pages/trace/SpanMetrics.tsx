import { Button } from '@mantine/core';
import { IconChartLine } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Span } from '../../api/otlp';
import { queryInstant, queryRange } from '../../api/prometheus';
import { timeWords, useAddress } from '../../app/address';
import { alignSeries } from '../../charts/align';
import { Sparkline } from '../../charts/Sparkline';
import { formatUnit } from '../../format/units';
import { Answer } from '../../status/Answer';
import { identityOf } from './identity';
import { processFamily, redFamilies, type Family, type Gauge } from './red';
import classes from './SpanDetail.module.css';
import { beganMs, type TraceTree } from './tree';

/** How far before and after the trace the pictures reach, seconds. */
const AROUND = 15 * 60;
const STEP = 30;

interface Drawn extends Gauge {
  values: number[];
  /** Its value when the trace ran. */
  then: number;
}

/** How the span's service was doing when it ran. */
export function SpanMetrics({ span, tree }: { span: Span; tree: TraceTree }) {
  const [address] = useAddress();
  const identity = identityOf(span);
  const at = Math.floor(beganMs(tree) / 1000 / STEP) * STEP;
  // Of a trace that has only just ended nothing is known yet behind it.
  const until = Math.min(at + AROUND, Math.floor(Date.now() / 1000 / STEP) * STEP);
  const answer = useQuery({
    queryKey: ['span-metrics', span.service, identity.component, at, until],
    queryFn: ({ signal }) => gaugesOf(span, at, until, signal),
    staleTime: 60_000,
  });
  const range = { ...timeWords(address), from: `${(at - AROUND) * 1000}`, to: `${until * 1000}` };
  return (
    <section data-testid="span-metrics">
      <h3>
        {span.service} at that time
        {identity.businessService && (
          <Button
            size="compact-xs"
            variant="light"
            leftSection={<IconChartLine size={13} />}
            renderRoot={(props: object) => (
              <Link {...props} to="/charts" search={{ ...range, business_service: identity.businessService }} />
            )}
          >
            All metrics
          </Button>
        )}
      </h3>
      <Answer query={answer} compact loading={<p className="dim">Asking for its metrics …</p>}>
        {({ from, gauges }) =>
          gauges.length === 0 ? (
            <p className="dim">
              No metrics of {span.service}: neither <code>traces_spanmetrics_calls_total</code> nor request durations or
              process metrics with <code>component="{identity.component}"</code>.
            </p>
          ) : (
            <>
              <div className={classes.gauges}>
                {gauges.map((gauge) => (
                  <Picture
                    key={gauge.name}
                    gauge={gauge}
                    place={(at - (at - AROUND)) / (until - (at - AROUND))}
                    search={{ ...range, q: gauge.query }}
                  />
                ))}
              </div>
              <p className="dim">From {from}, 15 minutes before to 15 after. The line marks the trace.</p>
            </>
          )
        }
      </Answer>
    </section>
  );
}

interface PictureProps {
  gauge: Drawn;
  /** Where the trace is across the picture, 0 to 1. */
  place: number;
  search: Record<string, string | undefined>;
}

function Picture({ gauge, place, search }: PictureProps) {
  const alarming = gauge.bad && gauge.then > 0;
  const value = formatUnit(gauge.then, gauge.unit);
  return (
    <Link to="/charts" search={search} className={classes.gauge} title={`Open ${gauge.name} on the Metrics page`}>
      <span>
        {gauge.name} <b data-bad={alarming}>{value}</b>
      </span>
      <span className={classes.spark}>
        <Sparkline
          values={gauge.values}
          color={alarming ? 'var(--bad-fill)' : 'var(--accent)'}
          height={34}
          top={gauge.unit === 'ratio' && gauge.bad ? 0.05 : 0}
          label={`${gauge.name} around the trace: ${value} when it ran`}
        />
        <i style={{ left: `${place * 100}%` }} />
      </span>
    </Link>
  );
}

async function gaugesOf(
  span: Span,
  at: number,
  until: number,
  signal: AbortSignal,
): Promise<{ from: string; gauges: Drawn[] }> {
  const identity = identityOf(span);
  const families = redFamilies(span.service, identity);
  const process = processFamily(identity);
  const there = await Promise.all(
    [...families, process].map((family) =>
      queryInstant(`count(last_over_time((${probeOf(family)})[10m:30s]))`, at + 60, signal).then(
        ({ series }) => series.length > 0,
      ),
    ),
  );
  const red = families.find((_, index) => there[index]);
  const chosen = [red, there.at(-1) ? process : undefined].filter((family) => family !== undefined);
  const start = at - AROUND;
  const drawn = await Promise.all(
    chosen
      .flatMap(({ gauges }) => gauges)
      .map(async (gauge): Promise<Drawn> => {
        const { series } = await queryRange(gauge.query, start, until, STEP, signal);
        const { values } = alignSeries(series.slice(0, 1), start, until, STEP);
        const row = (values[0] ?? []).map((value) => value ?? NaN);
        const slot = Math.round((at - start) / STEP);
        // The window that ends after the trace is the first that counts it.
        const then = [row[slot + 2], row[slot + 1], row[slot], row[slot - 1]].find((value) => Number.isFinite(value));
        return { ...gauge, values: row, then: then ?? NaN };
      }),
  );
  return {
    from: chosen.map(({ from }) => from).join(' and '),
    gauges: drawn.filter(({ values }) => values.some(Number.isFinite)),
  };
}

function probeOf({ probe }: Family): string {
  return probe;
}
