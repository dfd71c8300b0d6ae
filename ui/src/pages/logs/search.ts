import { choicesOf, leftOut, withChoices, withStage, type Choices, type Origin } from './edit';
import { quoted } from './selector';
import { isLogql, LEVEL_LABEL, levelName, parseWords, printField, toLogql, type Field } from './words';

/** A field that a search can be narrowed by, and where it stands in LogQL. */
export interface FieldName {
  name: string;
  origin: Origin;
  /** The parser that brings it out of the line, where nothing else has it. */
  parser?: string;
}

/** Words know the level by a shorter name than LogQL. */
const wordOf = (name: string) => (name === LEVEL_LABEL ? 'level' : name);

/** What a search, in words or in LogQL, wants and does not want of a field. */
export function chosen(search: string, name: string): Choices {
  if (search.trim() !== '' && isLogql(search)) return choicesOf(search, name);
  const fields = fieldTerms(search, name);
  const values = (not: boolean) => fields.filter((field) => field.not === not).map(({ value }) => value);
  return { ins: values(false), outs: values(true) };
}

/** The search with exactly these choices. Words stay words, unless the field has to be parsed out of the line. */
export function choose(search: string, field: FieldName, choices: Choices): string {
  if ((search.trim() !== '' && isLogql(search)) || field.origin === 'parsed') {
    const served = (values: string[]) => (field.name === LEVEL_LABEL ? values.map(levelName) : values);
    const { ins, outs } = choices;
    return withChoices(
      toLogql(search),
      field.origin,
      field.name,
      { ins: served(ins), outs: served(outs) },
      field.parser,
    );
  }
  let text = search;
  for (const { from, to } of fieldTerms(search, field.name).reverse())
    text = `${text.slice(0, from).trimEnd()} ${text.slice(to).trimStart()}`;
  const added = [
    ...choices.ins.map((value) => printField(wordOf(field.name), value, false)),
    ...choices.outs.map((value) => printField(wordOf(field.name), value, true)),
  ];
  return [text.trim(), ...added].filter(Boolean).join(' ');
}

function fieldTerms(search: string, name: string): Field[] {
  return parseWords(search).filter(
    (term): term is Field => term.kind === 'field' && term.name === wordOf(name) && !term.stars,
  );
}

/** One click more on a value that is wanted, or not wanted, takes the wish back. */
export function toggleValue(search: string, field: FieldName, value: string, keep: boolean): string {
  const { ins, outs } = chosen(search, field.name);
  const without = { ins: ins.filter((each) => each !== value), outs: outs.filter((each) => each !== value) };
  if (keep) return choose(search, field, ins.includes(value) ? without : { ...without, ins: [...without.ins, value] });
  return choose(search, field, outs.includes(value) ? without : leftOut({ ins, outs }, value));
}

/** Only rows with this value, or none with it: what the detail of a row offers. */
export function narrow(search: string, field: FieldName, value: string, keep: boolean): string {
  const choices = chosen(search, field.name);
  return choose(search, field, keep ? { ins: [value], outs: [] } : leftOut(choices, value));
}

/** The LogQL that finds, or leaves out, the lines of a pattern. */
export function withPattern(search: string, pattern: string, keep: boolean): string {
  return withStage(toLogql(search), `${keep ? '|>' : '!>'} ${quoted(pattern)}`);
}

/** Words inside quotes, which are never read as LogQL. */
export function asWords(search: string): string {
  return `"${search.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
