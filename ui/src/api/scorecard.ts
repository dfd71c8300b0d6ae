import { asArray, asNumber, asRecord, asText, getJson } from './client';

export interface Maturity {
  level: number;
  name: string;
  means: string;
}

export interface Figures {
  logs: number;
  spans: number;
  points: number;
}

/** What is known alike of one component and of many. */
export interface Standing {
  /** Undefined while too little came to judge. */
  level: number | undefined;
  figures: Figures;
  /** Of the records, those that say where they run; of the log records, those that keep the contract. */
  identityRatio: number | undefined;
  keptRatio: number | undefined;
  logsPerSpan: number | undefined;
  drift: number;
}

export interface Summary extends Standing {
  name: string;
  components: number;
  withoutData: number;
  /** How many stand at each level, the lowest first. */
  atLevel: number[];
  lifts: string[];
}

export interface Verdict {
  rule: string;
  level: number;
  /** Undefined where it cannot be told. */
  met: boolean | undefined;
  says: string;
}

export interface ComponentScore extends Standing {
  path: string;
  team: string;
  declared: boolean;
  said: number;
  expected: number;
  verdicts: Verdict[];
}

export interface Question {
  asks: string;
  language: string;
  query: string;
}

export interface Scorecard {
  levels: Maturity[];
  recordsLeast: number;
  all: Summary;
  unassigned: Figures;
  teams: Summary[];
  businessServices: Summary[];
  /** Only where a team or a business service is asked about. */
  components: ComponentScore[];
  questions: Question[];
  warnings: string[];
}

const PATH = '/api/tyto/v1/scorecard';

/** Of whom; what is undefined is everybody's. */
export interface Whom {
  team: string | undefined;
  businessService: string | undefined;
}

export async function fetchScorecard(
  { team, businessService }: Whom,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Scorecard> {
  return readScorecard(await getJson(PATH, { team, business_service: businessService, start, end }, { signal }));
}

export function readScorecard(json: unknown): Scorecard {
  const fields = asRecord(json);
  const list = (name: string) => asArray(fields[name], PATH, name);
  return {
    levels: list('levels').map((entry) => {
      const { level, name, means } = asRecord(entry);
      return { level: asNumber(level), name: asText(name), means: asText(means) };
    }),
    recordsLeast: asNumber(fields.records_least),
    all: readSummary(fields.all),
    unassigned: readFigures(fields.unassigned),
    teams: list('teams').map(readSummary),
    businessServices: list('business_services').map(readSummary),
    components: list('components').map(readComponent),
    questions: list('questions').map((entry) => {
      const { asks, language, query } = asRecord(entry);
      return { asks: asText(asks), language: asText(language), query: asText(query) };
    }),
    warnings: list('warnings').map(asText),
  };
}

function readFigures(json: unknown): Figures {
  const { logs, spans, points } = asRecord(json);
  return { logs: asNumber(logs ?? 0), spans: asNumber(spans ?? 0), points: asNumber(points ?? 0) };
}

function readStanding(fields: Record<string, unknown>): Standing {
  return {
    level: known(fields.level),
    figures: readFigures(fields.figures),
    identityRatio: known(fields.identity_ratio),
    keptRatio: known(fields.kept_ratio),
    logsPerSpan: known(fields.logs_per_span),
    drift: asNumber(fields.drift ?? 0),
  };
}

function readSummary(json: unknown): Summary {
  const fields = asRecord(json);
  return {
    ...readStanding(fields),
    name: asText(fields.name),
    components: asNumber(fields.components ?? 0),
    withoutData: asNumber(fields.without_data ?? 0),
    atLevel: asArray(fields.at_level ?? [], PATH, 'at_level').map(asNumber),
    lifts: asArray(fields.lifts ?? [], PATH, 'lifts').map((lift) => asText(asRecord(lift).says)),
  };
}

function readComponent(json: unknown): ComponentScore {
  const fields = asRecord(json);
  return {
    ...readStanding(fields),
    path: asText(fields.path),
    team: asText(fields.team),
    declared: fields.declared === true,
    said: asNumber(fields.said ?? 0),
    expected: asNumber(fields.expected ?? 0),
    verdicts: asArray(fields.verdicts ?? [], PATH, 'verdicts').map((entry) => {
      const { rule, level, met, says } = asRecord(entry);
      return {
        rule: asText(rule),
        level: asNumber(level),
        met: typeof met === 'boolean' ? met : undefined,
        says: asText(says),
      };
    }),
  };
}

function known(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
