import { useComputedColorScheme } from '@mantine/core';
import { useMemo } from 'react';
import { seriesColor } from '../../theme/palette';

/** A colour for each service, by its place among them. */
export function useColors(services: string[]): Map<string, string> {
  const dark = useComputedColorScheme('light') === 'dark';
  return useMemo(
    () => new Map(services.map((service, index) => [service, seriesColor(index, dark)])),
    [services, dark],
  );
}
