import classes from './charts.module.css';

interface Props {
  values: number[];
  color: string;
  height?: number;
  /** The value at the upper edge, at least; without it noise would fill the height. */
  top?: number;
  label: string;
}

const WIDTH = 200;

/** A small line with a filled foot, from zero; gaps stay gaps. */
export function Sparkline({ values, color, height = 30, top = 0, label }: Props) {
  const high = Math.max(top, ...values.filter(Number.isFinite)) || 1;
  const x = (index: number) => (index / Math.max(1, values.length - 1)) * WIDTH;
  const y = (value: number) => height - 1.5 - (value / high) * (height - 4);
  let line = '';
  let area = '';
  let from: number | undefined;
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) {
      if (from !== undefined) area += `L${x(index - 1).toFixed(1)} ${height}Z`;
      from = undefined;
      return;
    }
    const point = `${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    line += `${from === undefined ? 'M' : 'L'}${point}`;
    area += from === undefined ? `M${x(index).toFixed(1)} ${height}L${point}` : `L${point}`;
    from ??= index;
  });
  if (from !== undefined) area += `L${WIDTH} ${height}Z`;
  return (
    <svg
      className={classes.spark}
      viewBox={`0 0 ${WIDTH} ${height}`}
      height={height}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <path d={area} fill={color} opacity={0.13} />
      <path
        d={line}
        fill="none"
        stroke={color}
        strokeWidth={1.5}
        vectorEffect="non-scaling-stroke"
        strokeLinejoin="round"
      />
    </svg>
  );
}
