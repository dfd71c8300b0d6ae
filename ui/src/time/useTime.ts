import { createContext, use } from 'react';
import type { Range, RangeText } from './range';

export const REFRESH_SECONDS = [0, 5, 10, 30, 60];

export interface TimeState {
  text: RangeText;
  /** False when the address holds a range that cannot be read; `range` is then only a stand-in. */
  valid: boolean;
  range: Range;
  nowMs: number;
  /** Counts presses of the refresh button, so that they also ask again for a range that has not moved. */
  manual: number;
  everySeconds: number;
  setRange: (next: RangeText) => void;
  zoom: (range: Range) => void;
  /** Returns to the range before the last change; absent when there was none. */
  back: (() => void) | undefined;
  refresh: () => void;
  setEvery: (seconds: number) => void;
}

export const TimeContext = createContext<TimeState | undefined>(undefined);

export function useTime(): TimeState {
  const state = use(TimeContext);
  if (!state) throw new Error('useTime is used outside of TimeProvider');
  return state;
}
