import { useComputedColorScheme } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { Exemplar } from '../../api/exemplars';
import { alignSeries } from '../../charts/align';
import { Legend, pickLine } from '../../charts/Legend';
import { TimeChart, type Line } from '../../charts/TimeChart';
import { formatUnit } from '../../format/units';
import { seriesColor } from '../../theme/palette';
import { useTime } from '../../time/useTime';
import classes from './Metrics.module.css';
import { seriesNames } from './names';
import { Note } from './Notes';
import type { Picture } from './pictures';
import { unitOfMetric, metricsOf } from './unit';
import { exemplarWords, useMarks } from './useMarks';

/** More lines than these nobody can tell apart, and the browser would draw for long. */
const LINES_MAX = 200;
const NO_LINES: ReadonlySet<string> = new Set();
const NOTHING_KNOWN = new Map();

interface Props {
  picture: Picture;
  several: boolean;
  height: number;
  exemplars: Exemplar[];
}

/** Lines, areas or bars with their legend. */
export function LinePicture({ picture, several, height, exemplars }: Props) {
  const time = useTime();
  const dark = useComputedColorScheme('light') === 'dark';
  const about = picture.parts.map(({ asked }) => asked.text).join('\n');
  const [picked, setPicked] = useState({ about, hidden: NO_LINES });
  const hidden = picked.about === about ? picked.hidden : NO_LINES;
  const format = (value: number) => formatUnit(value, picture.unit);
  const { times, lines, count, gone } = useMemo(
    () => linesOf(picture, several, dark, hidden),
    [picture, several, dark, hidden],
  );
  const pick = (label: string, more: boolean) => {
    const all = lines.map((line) => line.label);
    setPicked({ about, hidden: pickLine(hidden, all, label, more) });
  };
  const marks = useMarks(exemplars, (value) => formatUnit(value, observedUnit(picture)));
  const step = Math.max(...picture.parts.map(({ drawn }) => drawn.step));
  return (
    <>
      {count > LINES_MAX && (
        <Note kind="warning">
          Showing {LINES_MAX} of {count} series: aggregate with <code>sum by (…)</code> or <code>topk(20, …)</code> to
          see all.
        </Note>
      )}
      {picture.log && gone > 0 && (
        <Note kind="info">
          {gone} points at zero or below have no place on a log scale and are left out; the legend counts them.
        </Note>
      )}
      <div className={classes.canvas}>
        <TimeChart
          times={times}
          lines={lines}
          kind={picture.draw === 'stacked' ? 'stacked' : picture.draw === 'bars' ? 'bars' : 'line'}
          log={picture.log}
          range={time.range}
          height={height}
          format={format}
          onZoom={time.zoom}
          label={`${about}: ${lines.length} series over time`}
          marks={{ ...marks, place: (value) => (picture.observes && picture.draw === 'lines' ? value : undefined) }}
          syncKey="metrics"
        />
      </div>
      <div className={classes.legend} data-testid="legend">
        <Legend lines={lines} format={format} onPick={pick} />
      </div>
      <p className={classes.foot}>
        {lines.length} series, a point every {step} s. Drag over the chart to zoom; click a name to see it alone.
        {exemplarWords(marks.exemplars.length, exemplars.length)}
      </p>
    </>
  );
}

/** What the picture's exemplars measured: the metric's own unit, whatever the query made of it. */
function observedUnit(picture: Picture) {
  if (picture.observes) return picture.unit;
  const [name = ''] = metricsOf(picture.parts[0]?.asked.text ?? '');
  const kind = unitOfMetric(name.replace(/_(bucket|count|sum)$/, ''), NOTHING_KNOWN);
  return kind === 'count' ? 'none' : kind;
}

interface Lines {
  times: number[];
  lines: Line[];
  /** Series of all answers, drawn or not. */
  count: number;
  /** Points that are not above zero. */
  gone: number;
}

function linesOf(picture: Picture, several: boolean, dark: boolean, hidden: ReadonlySet<string>): Lines {
  // Answers of one page have one grid; while a newer one is awaited the older ones keep theirs, so the newest rules.
  const [newest] = picture.parts.map(({ drawn }) => drawn).sort((a, b) => b.end - a.end);
  if (!newest) return { times: [], lines: [], count: 0, gone: 0 };
  const named = picture.parts.flatMap(({ asked, drawn }) => {
    const kept = drawn.series.slice(0, LINES_MAX);
    const names = seriesNames(kept, drawn.query);
    return kept.map((series, index) => ({
      series,
      label: several ? `${asked.letter} · ${names[index] ?? ''}` : (names[index] ?? ''),
    }));
  });
  const shown = named.slice(0, LINES_MAX);
  const { times, values } = alignSeries(
    shown.map(({ series }) => series),
    newest.start,
    newest.end,
    newest.step,
  );
  const order = shown.map(({ label }) => label).sort((a, b) => a.localeCompare(b));
  const lines = values.map((row, index) => {
    const label = shown[index]?.label ?? '';
    // A line's colour follows its name, so that a refresh with one series more does not repaint them all.
    return { label, values: row, color: seriesColor(order.indexOf(label), dark), hidden: hidden.has(label) };
  });
  const gone = values.reduce((sum, row) => sum + row.filter((value) => value !== null && value <= 0).length, 0);
  return { times, lines, count: picture.parts.reduce((sum, { drawn }) => sum + drawn.series.length, 0), gone };
}
