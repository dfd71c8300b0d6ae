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
