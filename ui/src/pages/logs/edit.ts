import { parser } from '@grafana/lezer-logql';
import { ALL_LOGS, quoted } from './selector';

/** Where a label of a row comes from: stream labels belong into the braces, all others into a filter after a pipe. */
export type Origin = 'stream' | 'metadata' | 'parsed';

/** True when the query answers numbers over time instead of log rows. */
export function isMetricQuery(query: string): boolean {
  const expression = parser.parse(query).topNode.getChild('Expr');
  return expression?.getChild('MetricExpr') != null;
}

/** The query narrowed to rows that have this label value, or to rows that do not have it. */
export function filterLabel(query: string, origin: Origin, name: string, keep: boolean, value: string): string {
  return origin === 'stream'
    ? withMatcher(query, name, keep, value)
    : withStage(query, `| ${name}${keep ? '=' : '!='}${quoted(value)}`);
}

function withMatcher(query: string, name: string, keep: boolean, value: string): string {
  const selector = firstNode(query, 'Selector');
  if (!selector) return `{${name}${keep ? '=' : '!='}${quoted(value)}}`;
  const matcher = `${name}${keep ? '=' : '!='}${quoted(value)}`;
  const opposite = `${name}${keep ? '!=' : '='}${quoted(value)}`;
  const inside = query.slice(selector.from + 1, selector.to - 1);
  const parts = splitMatchers(inside).filter((part) => part.replace(/\s/g, '') !== opposite.replace(/\s/g, ''));
  // "=~ .+" only says that the label exists, which the new matcher says already.
  const rest = parts.filter((part) => !(keep && part.replace(/\s/g, '') === `${name}=~".+"`));
  if (!rest.includes(matcher)) rest.push(matcher);
  return `${query.slice(0, selector.from)}{${rest.join(', ')}}${query.slice(selector.to)}`;
}

function splitMatchers(inside: string): string[] {
  const parts = inside.match(/[\w]+\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g);
  return parts ?? [];
}

function withStage(query: string, stage: string): string {
  const text = query.trimEnd() || ALL_LOGS;
  if (text.includes(stage)) return text;
  if (isMetricQuery(text)) return text;
  // A trailing comment would swallow what follows it on its line.
  const gap = /#[^\n"`]*$/.test(text) ? '\n' : ' ';
  return `${text}${gap}${stage}`;
}

function firstNode(query: string, name: string): { from: number; to: number } | undefined {
  let found: { from: number; to: number } | undefined;
  parser.parse(query).iterate({
    enter: (node) => {
      if (!found && node.name === name) found = { from: node.from, to: node.to };
      return !found;
    },
  });
  return found;
}

/** Rows by severity in steps of time, for the picture above the rows. Both names that senders use are asked for. */
export function levelQuery(query: string, stepSeconds: number): string {
  return `sum by (severity_text, severity_number, level) (count_over_time(${query.trim()}\n[${stepSeconds}s]))`.replace(
    /\n\[/,
    /#/.test(query) ? '\n[' : ' [',
  );
}

/** The texts that line filters look for, so that rows can mark them. */
export function searchedTexts(query: string): string[] {
  return [...query.matchAll(/\|=\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)]
    .map(([, text = '']) => (text.startsWith('`') ? text.slice(1, -1) : unquote(text)))
    .filter((text) => text !== '');
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}
