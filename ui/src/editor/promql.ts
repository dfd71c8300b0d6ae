import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import type { Extension } from '@codemirror/state';

/** PromQL with completion of metrics, labels and values from the server, and its mistakes underlined while typing. */
export function promql(): Extension {
  const language = new PromQLExtension().setComplete({
    remote: { url: window.location.origin, apiPrefix: '/api/v1', httpMethod: 'GET', cache: { maxAge: 60_000 } },
  });
  return language.asExtension();
}
