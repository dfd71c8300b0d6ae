import { useElementSize } from '@mantine/hooks';

/** A chart that fills its page beside its legend; the height of the box that it gets, pixels. */
export function useChartHeight() {
  const { ref, height } = useElementSize();
  return { ref, chart: Math.max(220, Math.min(520, Math.round(height * 0.55))) };
}
