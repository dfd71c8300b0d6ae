/** Twelve hues for series and services, ordered so that neighbours differ for colour-blind eyes too. Vermilion is kept for errors. */
const LIGHT = [
  '#2f6fde',
  '#d98a0b',
  '#12897a',
  '#a8489c',
  '#6f8410',
  '#6d59d0',
  '#0a8fbd',
  '#a0622a',
  '#c4588c',
  '#51687f',
  '#3f9b52',
  '#8a6d00',
];
const DARK = [
  '#6fa0f5',
  '#e8aa45',
  '#45bba8',
  '#d382c8',
  '#a5bb45',
  '#a594f0',
  '#4cbfe6',
  '#cf9460',
  '#ea8fb7',
  '#93a9c0',
  '#71c983',
  '#c9ab3f',
];

export function seriesColor(index: number, dark: boolean): string {
  const hues = dark ? DARK : LIGHT;
  return hues[index % hues.length] ?? '#888888';
}

/** A value of `tokens.css` as the canvas needs it: resolved now, in the scheme that is showing. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** From hardly anything to the most, by lightness above all: it reads the same for colour-blind eyes. */
const HEAT_LIGHT = [
  [222, 235, 252],
  [122, 170, 240],
  [47, 111, 222],
  [92, 50, 168],
  [74, 14, 92],
] as const;
const HEAT_DARK = [
  [27, 41, 66],
  [40, 84, 160],
  [76, 150, 214],
  [150, 214, 190],
  [252, 240, 168],
] as const;

/** The colour of a share between 0 and 1. */
export function heatColor(share: number, dark: boolean): string {
  const stops = dark ? HEAT_DARK : HEAT_LIGHT;
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const index = Math.min(stops.length - 2, Math.floor(at));
  const mixed = [0, 1, 2].map((part) => {
    const from = stops[index]?.[part] ?? 0;
    const to = stops[index + 1]?.[part] ?? 0;
    return Math.round(from + (to - from) * (at - index));
  });
  return `rgb(${mixed.join(' ')})`;
}
