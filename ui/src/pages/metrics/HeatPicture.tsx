import { useMemo } from 'react';
import type { Exemplar } from '../../api/exemplars';
import { heatOf } from '../../charts/heat';
import { HeatLegend, HeatMap } from '../../charts/HeatMap';
import { formatUnit } from '../../format/units';
import { useTime } from '../../time/useTime';
import classes from './Metrics.module.css';
import type { Picture } from './pictures';
import { exemplarWords, useMarks } from './useMarks';

interface Props {
  picture: Picture;
  height: number;
  exemplars: Exemplar[];
}

/** A histogram over time. All series of the answer are added up: a picture has room for one. */
export function HeatPicture({ picture, height, exemplars }: Props) {
  const time = useTime();
  const drawn = picture.parts[0]?.drawn;
  const heat = useMemo(() => drawn && heatOf(drawn.series, drawn), [drawn]);
  const format = (value: number) => formatUnit(value, picture.unit);
  const formatCount = (count: number) => formatUnit(count, picture.countUnit);
  const marks = useMarks(exemplars, format);
  if (!heat || !drawn) return null;
  const groups = new Set(drawn.series.map(({ labels }) => JSON.stringify({ ...labels, le: '' }))).size;
  return (
    <>
      <div className={classes.canvas}>
        <HeatMap
          heat={heat}
          range={time.range}
          height={height}
          format={format}
          formatCount={formatCount}
          onZoom={time.zoom}
          label={`${drawn.query}: a heat map of ${heat.cells.length} buckets over time`}
          marks={marks}
          syncKey="metrics"
        />
      </div>
      <HeatLegend max={heat.max} formatCount={formatCount} />
      <p className={classes.foot}>
        Up: the value. Colour: how many had it. {groups > 1 && `${groups} histograms are added up. `}A column every{' '}
        {drawn.step} s; drag to zoom.{exemplarWords(marks.exemplars.length, exemplars.length)}
      </p>
    </>
  );
}
