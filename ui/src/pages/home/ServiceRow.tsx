import { Link } from '@tanstack/react-router';
import type { IconCircleCheck } from '@tabler/icons-react';
import type { BusinessService } from '../../api/tyto';
import { timeWords, useAddress } from '../../app/address';
import { Sparkline } from '../../charts/Sparkline';
import { formatDuration, formatNumber, formatPercent } from '../../format/units';
import { ERRORS, ofBusinessService } from '../logs/selector';
import { ofBusiness } from '../traces/traceql';
import { DEGRADED_RATIO, title, type Health } from './health';
import classes from './Home.module.css';

const WORDS = { failing: 'Failing', slow: 'Slow', degraded: 'Some errors', quiet: 'No traffic', healthy: 'Healthy' };

interface Props {
  service: BusinessService;
  health: Health;
  icon: typeof IconCircleCheck;
}

export function ServiceRow({ service, health, icon: Icon }: Props) {
  const [address] = useAddress();
  const time = timeWords(address);
  const selector = ofBusinessService(service.name);
  const alarming = health.state === 'failing' || health.state === 'degraded';
  return (
    <div className={classes.row} role="row" data-state={health.state} data-testid="service">
      <div role="cell" className={classes.who}>
        <Link to="/logs" search={{ ...time, q: selector }} className={classes.name}>
          {title(service.name)}
        </Link>
        <span className={classes.state}>
          <Icon size={14} stroke={2} aria-hidden />
          {WORDS[health.state]}
        </span>
        <span className={classes.parts} title={service.services.join(', ')}>
          {service.services.join(' · ')}
        </span>
      </div>
      <Measure
        name="Requests"
        value={`${formatNumber(service.rate)}/s`}
        values={service.spark.rate}
        color="var(--accent)"
        label={`Requests of ${service.name} over time`}
      />
      <Measure
        name="Errors"
        value={formatPercent(service.errorRatio)}
        now={
          alarming || service.errorRatio >= DEGRADED_RATIO
            ? `${formatPercent(Number(health.errorRatio.toPrecision(2)))} now`
            : undefined
        }
        values={service.spark.errorRatio}
        color={alarming ? 'var(--bad-fill)' : 'var(--debug)'}
        top={DEGRADED_RATIO * 2}
        label={`Error ratio of ${service.name} over time`}
      />
      <Measure
        name="p95 latency"
        value={formatDuration(service.p95Ms)}
        now={health.state === 'slow' ? `${formatDuration(health.p95Ms)} now` : undefined}
        values={service.spark.p95Ms}
        color={health.state === 'slow' ? 'var(--warn-fill)' : 'var(--ok)'}
        label={`p95 latency of ${service.name} over time`}
      />
      <div role="cell" className={classes.links}>
        <Link to="/logs" search={{ ...time, q: alarming ? `${selector} ${ERRORS}` : selector }}>
          Logs
        </Link>
        <Link to="/traces" search={{ ...time, q: ofBusiness(service.name, alarming) }}>
          Traces
        </Link>
        <Link to="/charts" search={{ ...time, business_service: service.name }}>
          Metrics
        </Link>
      </div>
    </div>
  );
}

interface MeasureProps {
  name: string;
  value: string;
  now?: string;
  values: number[];
  color: string;
  top?: number;
  label: string;
}

function Measure({ name, value, now, values, color, top, label }: MeasureProps) {
  return (
    <div role="cell" className={classes.measure} data-name={name}>
      <div className={classes.value}>
        <b>{value}</b>
        {now && <span>{now}</span>}
      </div>
      <Sparkline values={values} color={color} top={top} label={label} height={32} />
    </div>
  );
}
