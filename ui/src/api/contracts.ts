import { asArray, asNumber, asRecord, asText, getJson, postJson } from './client';

export interface Contract {
  name: string;
  title: string;
  mode: string;
  file: string;
  /** Of its file; empty where the server does not have it. */
  text: string;
  /** Whose it is, from the business service down: `payments/cards`. */
  namedBy: string[];
}

/** One rule that records of one component break; of values only the kinds are told. */
export interface Breach {
  businessService: string;
  service: string;
  component: string;
  contract: string;
  path: string;
  rule: string;
  expected: string;
  found: string;
  /** `file:line`. */
  at: string;
  /** What one of them has: names, and the kinds of values. */
  sample: [name: string, kind: string][];
  observed: number;
  quarantined: number;
  rejected: number;
}

export interface ContractTrial {
  contracts: string[];
  /** Records that came in the time, and how many of them were judged. */
  came: number;
  records: number;
  sampled: boolean;
  /** When they came at the earliest, ms; undefined: all of the time was looked at. */
  judgedFromMs: number | undefined;
  broken: number;
  observed: number;
  quarantined: number;
  rejected: number;
  breaches: Breach[];
  breachesLeftOut: number;
}

const PATH = '/api/tyto/v1/contracts';

export async function fetchContracts(signal: AbortSignal): Promise<Contract[]> {
  const { contracts } = asRecord(await getJson(PATH, {}, { signal }));
  return asArray(contracts, PATH, 'contracts').map((entry) => {
    const contract = asRecord(entry);
    return {
      name: asText(contract.name),
      title: asText(contract.title),
      mode: asText(contract.mode) || 'observe',
      file: asText(asRecord(contract.declared_at).file),
      text: asText(contract.text),
      namedBy: asArray(contract.named_by, PATH, 'named_by').map(asText),
    };
  });
}

export interface ContractAsk {
  text: string;
  file: string;
  /** `payments/cards`; empty: whoever names it in the catalogue in force. */
  whom: string;
  lastSeconds: number;
}

export async function tryContract(ask: ContractAsk, signal: AbortSignal): Promise<ContractTrial> {
  const [businessService, service, component] = ask.whom.split('/');
  const body = {
    files: { [ask.file]: ask.text },
    business_service: businessService,
    service,
    component,
    last_seconds: ask.lastSeconds,
  };
  return readContractTrial(await postJson(`${PATH}/try`, body, { signal }));
}

export function readContractTrial(json: unknown): ContractTrial {
  const path = `${PATH}/try`;
  const fields = asRecord(json);
  return {
    contracts: asArray(fields.contracts, path, 'contracts').map(asText),
    came: asNumber(fields.came),
    records: asNumber(fields.records),
    sampled: fields.sampled === true,
    judgedFromMs:
      asNumber(fields.judged_from) > asNumber(fields.start) ? asNumber(fields.judged_from) * 1000 : undefined,
    broken: asNumber(fields.broken),
    observed: asNumber(fields.observed),
    quarantined: asNumber(fields.quarantined),
    rejected: asNumber(fields.rejected),
    breaches: asArray(fields.breaches, path, 'breaches').map((entry) => {
      const breach = asRecord(entry);
      const records = asRecord(breach.records);
      return {
        businessService: asText(breach.business_service),
        service: asText(breach.service),
        component: asText(breach.component),
        contract: asText(breach.contract),
        path: asText(breach.path),
        rule: asText(breach.rule),
        expected: asText(breach.expected),
        found: asText(breach.found),
        at: asText(breach.at),
        sample: Object.entries(asRecord(breach.sample)).map(([name, kind]) => [name, asText(kind)]),
        observed: asNumber(records.observed ?? 0),
        quarantined: asNumber(records.quarantined ?? 0),
        rejected: asNumber(records.rejected ?? 0),
      };
    }),
    breachesLeftOut: asNumber(fields.breaches_left_out ?? 0),
  };
}
