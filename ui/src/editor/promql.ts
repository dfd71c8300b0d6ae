import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import type { Extension } from '@codemirror/state';
import { promqlSource, type RangeSource } from './promqlSource';

/** PromQL with completion of metrics, labels and values from the server, and its mistakes underlined while typing. */
export function promql(range: RangeSource): Extension {
  return new PromQLExtension().setComplete({ remote: promqlSource(range) }).asExtension();
}
