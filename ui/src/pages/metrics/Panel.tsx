import { NativeSelect, SegmentedControl, Switch } from '@mantine/core';
import type { Exemplar } from '../../api/exemplars';
import { formatUnit, UNIT_NAMES, UNITS } from '../../format/units';
import { canBeHeat, lettersOf, type Picture } from './pictures';
import { HeatPicture } from './HeatPicture';
import { LinePicture } from './LinePicture';
import classes from './Metrics.module.css';
import { Note, Notes } from './Notes';

interface Props {
  picture: Picture;
  /** True when the page holds several queries: names then carry their letter. */
  several: boolean;
  /** Pixels of the chart. */
  height: number;
  exemplars: Exemplar[];
  /** Without it the picture cannot be changed. */
  onChange?: (word: 'unit' | 'draw' | 'scale', value: string | undefined) => void;
}

/** One pair of axes with what is said about it, how it is drawn, and its legend. */
export function Panel({ picture, several, height, exemplars, onChange }: Props) {
  const shared = { picture, several, height, exemplars };
  const asksInVain = picture.draw !== 'heat' && picture.parts.some(({ asked }) => asked.draw === 'heat');
  return (
    <section className={classes.picture} data-testid="picture" data-draw={picture.draw}>
      {onChange && <Looks picture={picture} several={several} onChange={onChange} />}
      {picture.parts.map(({ asked, drawn }) => (
        <Notes
          key={asked.letter}
          letter={several ? asked.letter : undefined}
          warnings={drawn.warnings}
          infos={drawn.infos}
        />
      ))}
      {asksInVain && (
        <Note kind="info">
          There is no histogram in this answer, so it is drawn as lines. A heat map needs a native histogram, or buckets
          by <code>le</code>: <code>sum by (le) (rate(…_bucket[5m]))</code>.
        </Note>
      )}
      {picture.draw === 'heat' ? <HeatPicture {...shared} /> : <LinePicture {...shared} />}
    </section>
  );
}

function Looks({
  picture,
  several,
  onChange,
}: {
  picture: Picture;
  several: boolean;
  onChange: NonNullable<Props['onChange']>;
}) {
  const overridden = picture.unit !== picture.unitGuessed || picture.parts.some(({ asked }) => asked.unit);
  const draws = [
    { value: 'lines', label: 'Lines' },
    { value: 'stacked', label: 'Stacked' },
    { value: 'bars', label: 'Bars' },
    ...(canBeHeat(picture) || picture.draw === 'heat' ? [{ value: 'heat', label: 'Heat map' }] : []),
  ];
  return (
    <div className={classes.looks}>
      {several && (
        <span className={classes.letters} aria-label="Queries in this picture">
          {lettersOf(picture).map((letter) => (
            <b key={letter}>{letter}</b>
          ))}
        </span>
      )}
      <SegmentedControl
        value={picture.draw}
        onChange={(draw) => onChange('draw', draw)}
        data={draws}
        aria-label="How to draw"
      />
      <NativeSelect
        value={overridden ? picture.unit : 'auto'}
        onChange={(event) =>
          onChange('unit', event.currentTarget.value === 'auto' ? undefined : event.currentTarget.value)
        }
        data={[
          { value: 'auto', label: `Unit: ${UNIT_NAMES[picture.unitGuessed].toLowerCase()} (from the metric)` },
          ...UNITS.map((unit) => ({ value: unit, label: UNIT_NAMES[unit] })),
        ]}
        aria-label="Unit"
        size="xs"
        title={`For example ${formatUnit(1234.5, picture.unit)}`}
      />
      {picture.draw === 'lines' && (
        <Switch
          label="Log scale"
          checked={picture.log}
          onChange={(event) => onChange('scale', event.currentTarget.checked ? 'log' : undefined)}
        />
      )}
    </div>
  );
}
