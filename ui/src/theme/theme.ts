import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core';

const tyto: MantineColorsTuple = [
  '#eef3fe',
  '#dbe5fb',
  '#b5c9f6',
  '#8dabf2',
  '#6b91ee',
  '#4b78e6',
  '#2a5bd7',
  '#234db9',
  '#1d4099',
  '#163179',
];

// Mantine paints fields and disabled buttons of the dark scheme from this scale, so it follows the tokens.
const dark: MantineColorsTuple = [
  '#dde4ec',
  '#b7c1cd',
  '#94a1b3',
  '#5d6a7b',
  '#3b4655',
  '#28313c',
  '#1c232c',
  '#151a21',
  '#11161c',
  '#0e1217',
];

/** Mantine brings behaviour and accessibility; the looks come from `tokens.css`, so both schemes are defined once. */
export const theme = createTheme({
  primaryColor: 'tyto',
  primaryShade: 6,
  colors: { tyto, dark },
  fontFamily: 'var(--sans)',
  fontFamilyMonospace: 'var(--mono)',
  fontSizes: { xs: '12px', sm: '13px', md: '14px' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  components: {
    Tooltip: { defaultProps: { openDelay: 350, fz: 12, withinPortal: true } },
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs' } },
    NumberInput: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    Switch: { defaultProps: { size: 'xs' } },
  },
});

const shared = {
  '--mantine-color-body': 'var(--surface)',
  '--mantine-color-text': 'var(--text)',
  '--mantine-color-dimmed': 'var(--dim)',
  '--mantine-color-placeholder': 'var(--dim)',
  '--mantine-color-default': 'var(--surface)',
  '--mantine-color-default-hover': 'var(--hover)',
  '--mantine-color-default-color': 'var(--text)',
  '--mantine-color-default-border': 'var(--line-strong)',
  '--mantine-color-error': 'var(--bad)',
  '--mantine-color-tyto-light': 'var(--accent-soft)',
  '--mantine-color-tyto-light-hover': 'var(--hover)',
  '--mantine-color-tyto-light-color': 'var(--accent)',
  '--mantine-color-anchor': 'var(--accent)',
};

export const cssVariables: CSSVariablesResolver = () => ({ variables: {}, light: shared, dark: shared });
