import { asArray, asNumber, asRecord, asText, getJson, postJson } from './client';

/** Records that wait, of one component and with one thing wrong. */
export interface WaitingGroup {
  businessService: string;
  service: string;
  component: string;
  team: string;
  contract: string;
  /** The keyword of the rule that they break, what breaks it, and where it stands: `file:line`. */
  rule: string;
  path: string;
  expected: string;
  found: string;
  at: string;
  records: number;
  firstMs: number;
  lastMs: number;
  trend: number[];
  /** Ids, the newest first. */
  examples: string[];
}

export interface Waiting {
  records: number;
  groups: WaitingGroup[];
  /** Smaller ones that the server does not tell. */
  groupsLeftOut: number;
}

export interface Violation {
  path: string;
  rule: string;
  expected: string;
  found: string;
  at: string;
}

/** One record: what it breaks, and of what kind its values are. */
export interface SetAside {
  id: string;
  state: string;
  timeMs: number;
  protocol: string;
  contractVersion: string;
  violations: Violation[];
  attributes: [name: string, kind: string][];
}

/** What became of an order. */
export interface Settled {
  selected: number;
  released: number;
  discarded: number;
  kept: number;
  why: string[];
}

const PATH = '/api/tyto/v1/quarantine';

export async function fetchWaiting(signal: AbortSignal): Promise<Waiting> {
  return readWaiting(await getJson(PATH, {}, { signal }));
}

export function readWaiting(json: unknown): Waiting {
  const fields = asRecord(json);
  return {
    records: asNumber(fields.records),
    groupsLeftOut: asNumber(fields.groups_left_out ?? 0),
    groups: asArray(fields.groups, PATH, 'groups').map((entry) => {
      const group = asRecord(entry);
      return {
        businessService: asText(group.business_service),
        service: asText(group.service),
        component: asText(group.component),
        team: asText(group.team),
        contract: asText(group.contract),
        rule: asText(group.rule),
        path: asText(group.path),
        expected: asText(group.expected),
        found: asText(group.found),
        at: asText(group.at),
        records: asNumber(group.records),
        firstMs: asNumber(group.first_unix_nano) / 1e6,
        lastMs: asNumber(group.last_unix_nano) / 1e6,
        trend: asArray(group.trend, PATH, 'trend').map(asNumber),
        examples: asArray(group.examples, PATH, 'examples').map(asText),
      };
    }),
  };
}

export async function fetchSetAside(id: string, signal: AbortSignal): Promise<SetAside> {
  const path = `${PATH}/${encodeURIComponent(id)}`;
  const fields = asRecord(await getJson(path, {}, { signal }));
  return {
    id: asText(fields.id),
    state: asText(fields.state),
    timeMs: asNumber(fields.time_unix_nano) / 1e6,
    protocol: asText(fields.protocol),
    contractVersion: asText(fields.contract_version),
    violations: asArray(fields.violations, path, 'violations').map((entry) => {
      const violation = asRecord(entry);
      return {
        path: asText(violation.path),
        rule: asText(violation.rule),
        expected: asText(violation.expected),
        found: asText(violation.found),
        at: asText(violation.at),
      };
    }),
    attributes: Object.entries(asRecord(fields.attributes)).map(([name, kind]) => [name, asText(kind)]),
  };
}

export type Order = 'replay' | 'discard';

/** Settles the records of one group, those that came since it was shown among them. */
export async function settle(order: Order, group: WaitingGroup): Promise<Settled> {
  const selector = {
    business_service: group.businessService,
    service: group.service,
    component: group.component,
    contract: group.contract,
    rule: group.rule,
    path: group.path,
  };
  const fields = asRecord(await postJson(`${PATH}/${order}`, selector));
  return {
    selected: asNumber(fields.selected),
    released: asNumber(fields.released),
    discarded: asNumber(fields.discarded),
    kept: asNumber(fields.kept),
    why: asArray(fields.why ?? [], PATH, 'why').map(asText),
  };
}
