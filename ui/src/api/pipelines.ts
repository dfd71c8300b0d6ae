import { asArray, asNumber, asRecord, asText, getJson, postJson } from './client';

/** One step of a pipeline: what it does, by the keys of its file. */
export interface Stage {
  /** Its number and its kind, as counters call it: `2 mask`. */
  stage: string;
  kind: string;
  /** Its condition; empty: it is for every record. */
  when: string;
  does: Record<string, unknown>;
}

/** Whose records a pipeline is for, and what it does to them. */
export interface Described {
  name: string;
  about: string;
  businessService: string;
  service: string;
  component: string;
  when: string;
  stages: Stage[];
}

/** What was done to somebody's records since the server's start. */
export interface Count {
  stage: string;
  what: string;
  reason: string;
  count: number;
}

export interface Pipeline extends Described {
  file: string;
  /** Of its file; empty where the server does not have it. */
  text: string;
  records: number;
  counts: Count[];
}

export interface InForce {
  /** When counting began. */
  sinceMs: number;
  /** In the order in which a record goes through them. */
  pipelines: Pipeline[];
}

/** What a stage did to a record, or could not do. */
export interface Note {
  stage: string;
  what: string;
  reason: string;
}

export type RecordFields = Record<string, unknown>;

export interface TriedRecord {
  before: RecordFields;
  /** Undefined where it would not be stored. */
  after: RecordFields | undefined;
  /** Whether the pipeline's condition is for it. */
  matched: boolean;
  dropped: Note | undefined;
  notes: Note[];
}

export interface PipelineTrial {
  /** Undefined where the file cannot be used. */
  pipeline: Described | undefined;
  /** `file:line:column: what`. */
  problems: string[];
  records: TriedRecord[];
}

const PATH = '/api/tyto/v1/pipelines';

export async function fetchPipelines(signal: AbortSignal): Promise<InForce> {
  return readInForce(await getJson(PATH, {}, { signal }));
}

export function readInForce(json: unknown): InForce {
  const fields = asRecord(json);
  return {
    sinceMs: asNumber(fields.since) * 1000,
    pipelines: asArray(fields.pipelines, PATH, 'pipelines').map((entry) => {
      const pipeline = asRecord(entry);
      return {
        ...readDescribed(pipeline),
        file: asText(asRecord(pipeline.declared_at).file),
        text: asText(pipeline.text),
        records: asNumber(pipeline.records),
        counts: asArray(pipeline.counts, PATH, 'counts').map((each) => ({
          ...readNote(each),
          count: asNumber(asRecord(each).count),
        })),
      };
    }),
  };
}

function readDescribed(json: unknown): Described {
  const fields = asRecord(json);
  return {
    name: asText(fields.name),
    about: asText(fields.about),
    businessService: asText(fields.business_service),
    service: asText(fields.service),
    component: asText(fields.component),
    when: asText(fields.when),
    stages: asArray(fields.stages, PATH, 'stages').map((entry) => {
      const { stage, kind, when, does } = asRecord(entry);
      return { stage: asText(stage), kind: asText(kind), when: asText(when), does: asRecord(does) };
    }),
  };
}

function readNote(json: unknown): Note {
  const { stage, what, reason } = asRecord(json);
  return { stage: asText(stage), what: asText(what), reason: asText(reason) };
}

/** A draft, and on what it is tried: records or lines of one's own, else the newest of whom it is for. */
export interface PipelineAsk {
  text: string;
  /** The file in force that it began from. */
  file: string | undefined;
  lastSeconds: number;
  limit: number;
  records: unknown[] | undefined;
}

export async function tryPipeline(ask: PipelineAsk, signal: AbortSignal): Promise<PipelineTrial> {
  const { text, file, lastSeconds, limit, records } = ask;
  const body = { pipeline: text, file, ...(records ? { records } : { last_seconds: lastSeconds, limit }) };
  return readTrial(await postJson(`${PATH}/try`, body, { signal }));
}

export function readTrial(json: unknown): PipelineTrial {
  const path = `${PATH}/try`;
  const fields = asRecord(json);
  return {
    pipeline: fields.pipeline ? readDescribed(fields.pipeline) : undefined,
    problems: asArray(fields.problems, path, 'problems').map(asText),
    records: asArray(fields.records, path, 'records').map((entry) => {
      const record = asRecord(entry);
      return {
        before: asRecord(record.before),
        after: record.after ? asRecord(record.after) : undefined,
        matched: record.matched !== false,
        dropped: record.dropped ? readNote(record.dropped) : undefined,
        notes: asArray(record.notes, path, 'notes').map(readNote),
      };
    }),
  };
}
