import { asArray, asNumber, asRecord, asText, getJson } from './client';

export type EntryKind = 'business_service' | 'service' | 'component' | 'team';

/** A business service, a service, a component or a team, as a list shows it. */
export interface Entry {
  kind: EntryKind;
  /** `payments/checkout/checkout-api`; of a team its name. */
  path: string;
  name: string;
  description: string;
  teams: string[];
  tier: string;
  environment: string;
  contract: string;
  parts: number;
  /** How many things such an entry is expected to say, and the keys of those that it does not. */
  expected: number;
  missing: string[];
}

/** By the key of what is missing: what that means, and what to write. */
export type Gaps = Record<string, { what: string; fix: string }>;

export interface Entries {
  entries: Entry[];
  leftOut: number;
  gaps: Gaps;
}

export interface HeldLink {
  title: string;
  url: string;
  /** The entry that names it. */
  from: string;
}

export interface Owner {
  team: string;
  contacts: [kind: string, value: string][];
}

export interface Dependency {
  kind: string;
  name: string;
}

export interface CataloguePage {
  entry: Entry;
  held: Record<string, { value: string; from: string }>;
  owners: Owner[];
  ownersFrom: string;
  links: HeldLink[];
  runbooks: HeldLink[];
  /** Each rule with what its attributes must be. */
  rules: [attribute: string, pattern: { text: string; regex: boolean }][][];
  /** Undefined where it is not said. */
  dependsOn: Dependency[] | undefined;
  neededBy: string[];
  parts: Entry[];
  retention: [table: string, time: string][];
  declaredAt: string | undefined;
  gaps: Gaps;
}

export interface Sender {
  /** Empty when the records say nothing by which their sender could be known. */
  attribute: string;
  value: string;
  logs: number;
  spans: number;
  series: number;
  lastMs: number;
  rule: string;
  claimedBy: string;
  looksLike: string;
}

export interface Senders {
  senders: Sender[];
  leftOut: number;
}

const ENTRIES = '/api/tyto/v1/catalog/entries';
const ENTRY = '/api/tyto/v1/catalog/entry';
const UNKNOWN = '/api/tyto/v1/catalog/unknown';

export async function fetchEntries(search: string, signal: AbortSignal): Promise<Entries> {
  return readEntries(await getJson(ENTRIES, { search }, { signal }));
}

export function readEntries(json: unknown): Entries {
  const fields = asRecord(json);
  return {
    entries: asArray(fields.entries, ENTRIES, 'entries').map(readEntry),
    leftOut: asNumber(fields.left_out ?? 0),
    gaps: readGaps(fields.gaps),
  };
}

function readEntry(json: unknown): Entry {
  const fields = asRecord(json);
  return {
    kind: asText(fields.kind) as EntryKind,
    path: asText(fields.path),
    name: asText(fields.name),
    description: asText(fields.description),
    teams: texts(fields.teams),
    tier: asText(fields.tier),
    environment: asText(fields.environment),
    contract: asText(fields.contract),
    parts: asNumber(fields.parts ?? 0),
    expected: asNumber(fields.expected ?? 0),
    missing: texts(fields.missing),
  };
}

function readGaps(json: unknown): Gaps {
  return Object.fromEntries(
    Object.entries(asRecord(json)).map(([key, value]) => {
      const { what, fix } = asRecord(value);
      return [key, { what: asText(what), fix: asText(fix) }];
    }),
  );
}

export async function fetchEntry(path: string, kind: string | undefined, signal: AbortSignal): Promise<CataloguePage> {
  return readPage(await getJson(ENTRY, { path, kind }, { signal }));
}

const CONTACTS = ['email', 'slack', 'github', 'webhook', 'on_call'];

export function readPage(json: unknown): CataloguePage {
  const fields = asRecord(json);
  const list = (name: string) => asArray(fields[name] ?? [], ENTRY, name);
  const links = (name: string) =>
    list(name).map((link) => {
      const { title, url, from } = asRecord(link);
      return { title: asText(title), url: asText(url), from: asText(from) };
    });
  const declared = asRecord(fields.declared_at);
  return {
    entry: readEntry(fields.entry),
    held: Object.fromEntries(
      Object.entries(asRecord(fields.held)).map(([key, held]) => {
        const { value, from } = asRecord(held);
        return [key, { value: asText(value), from: asText(from) }];
      }),
    ),
    owners: list('owners').map((owner) => {
      const said = asRecord(owner);
      const contacts = CONTACTS.map((kind): [string, string] => [kind, asText(said[kind])]);
      return { team: asText(said.team), contacts: contacts.filter(([, value]) => value) };
    }),
    ownersFrom: asText(fields.owners_from),
    links: links('links'),
    runbooks: links('runbooks'),
    rules: list('match').map((rule) =>
      Object.entries(asRecord(rule)).map(([attribute, pattern]) => [
        attribute,
        typeof pattern === 'string'
          ? { text: pattern, regex: false }
          : { text: asText(asRecord(pattern).regex), regex: true },
      ]),
    ),
    dependsOn: Array.isArray(fields.depends_on) ? fields.depends_on.map(readDependency) : undefined,
    neededBy: texts(fields.needed_by),
    parts: list('parts').map(readEntry),
    retention: Object.entries(asRecord(fields.retention)).map(([table, time]) => [table, asText(time)]),
    declaredAt: declared.file === undefined ? undefined : `${asText(declared.file)}:${asText(declared.line)}`,
    gaps: readGaps(fields.gaps),
  };
}

function readDependency(json: unknown): Dependency {
  const [kind = '', name] = Object.entries(asRecord(json))[0] ?? [];
  return { kind, name: asText(name) };
}

export async function fetchSenders(start: number, end: number, signal: AbortSignal): Promise<Senders> {
  const fields = asRecord(await getJson(UNKNOWN, { start, end }, { signal }));
  return {
    senders: asArray(fields.senders, UNKNOWN, 'senders').map((entry) => {
      const sender = asRecord(entry);
      return {
        attribute: asText(sender.attribute),
        value: asText(sender.value),
        logs: asNumber(sender.logs ?? 0),
        spans: asNumber(sender.spans ?? 0),
        series: asNumber(sender.series ?? 0),
        lastMs: asNumber(sender.last_seen) * 1000,
        rule: asText(sender.rule),
        claimedBy: asText(sender.claimed_by),
        looksLike: asText(sender.looks_like),
      };
    }),
    leftOut: asNumber(fields.left_out ?? 0),
  };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(asText) : [];
}
