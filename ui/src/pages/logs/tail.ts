import { asRecord } from '../../api/client';
import { compareNs, readRows, rowKey, type LogRow } from '../../api/loki';

export const TAIL_PATH = '/loki/api/v1/tail';
/** Lines of live tail that the page keeps: the newest. */
export const TAIL_ROWS_MAX = 10_000;
/** Lines of the time before the connection that are asked for: at first for a beginning, later to close a gap. */
const HISTORY_FIRST = 500;
const HISTORY_AGAIN = 5000;
/** A new connection begins a little before the last line, for lines that were on their way: so many of them at most. */
const OVERLAP_ROWS = 1000;
const OVERLAP_NS = 2_000_000_000n;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export interface Frame {
  rows: LogRow[];
  /** Lines that the server left out because this page was too slow for it. */
  dropped: number;
}

/**
 * One message of Loki's tail protocol; lines of several streams in the order of their time. The protocol merges structured metadata
 * into the stream: what is not among the `labels` of streams is taken out again, where these are known.
 */
export function readFrame(text: string, labels: ReadonlySet<string>): Frame {
  const json = asRecord(JSON.parse(text));
  const rows = json.streams ? readRows(json.streams, TAIL_PATH, 'streams') : [];
  const dropped = Array.isArray(json.dropped_entries) ? json.dropped_entries.length : 0;
  const sorted = rows.sort((a, b) => compareNs(a.ns, b.ns));
  return { rows: labels.size ? sorted.map((row) => apart(row, labels)) : sorted, dropped };
}

function apart(row: LogRow, labels: ReadonlySet<string>): LogRow {
  const stream: Record<string, string> = {};
  const metadata = { ...row.metadata };
  for (const [name, value] of Object.entries(row.stream)) (labels.has(name) ? stream : metadata)[name] = value;
  return { ...row, stream, metadata };
}

/** The newest lines in the order in which they came. What is too much pushes the oldest out. */
export class TailBuffer {
  private ring: LogRow[] = [];
  private head = 0;
  /** The newest instant that was pushed out: of lines behind it, none is missing here. */
  private gone = '0';
  /** All lines that ever came, and those that did not fit. */
  received = 0;
  evicted = 0;

  constructor(private readonly rowsMax = TAIL_ROWS_MAX) {}

  push(rows: LogRow[]): void {
    for (const row of rows) {
      this.received++;
      if (this.ring.length < this.rowsMax) {
        this.ring.push(row);
        continue;
      }
      const old = this.ring[this.head];
      if (old && compareNs(old.ns, this.gone) > 0) this.gone = old.ns;
      this.ring[this.head] = row;
      this.head = (this.head + 1) % this.rowsMax;
      this.evicted++;
    }
  }

  /** All that is kept, the first that came first. */
  rows(): LogRow[] {
    return [...this.ring.slice(this.head), ...this.ring.slice(0, this.head)];
  }

  /** Where a new connection begins so that nothing is lost, and the lines from there on that are here already. */
  seam(): Seam | undefined {
    const rows = this.rows();
    if (rows.length === 0) return undefined;
    const last = rows.reduce((newest, { ns }) => (compareNs(ns, newest) > 0 ? ns : newest), '0');
    const late = [BigInt(last) - OVERLAP_NS, BigInt(this.gone) + 1n];
    for (const { ns } of rows.slice(0, -OVERLAP_ROWS)) late.push(BigInt(ns) + 1n);
    const start = late.reduce((a, b) => (b > a ? b : a));
    const startNs = (start > BigInt(last) ? BigInt(last) : start).toString();
    const known = new Map<string, number>();
    for (const row of rows) {
      if (compareNs(row.ns, startNs) < 0) continue;
      const key = rowKey(row);
      known.set(key, (known.get(key) ?? 0) + 1);
    }
    return { startNs, known };
  }
}

export interface Seam {
  startNs: string;
  /** How often each line from `startNs` on is here. */
  known: Map<string, number>;
}

/** The rows that are not known yet; of equal ones as many as are missing. Each known one is taken off the list. */
export function afterSeam(rows: LogRow[], seam: Seam | undefined): LogRow[] {
  if (!seam || seam.known.size === 0) return rows;
  return rows.filter((row) => {
    const key = rowKey(row);
    const count = seam.known.get(key) ?? 0;
    if (count > 1) seam.known.set(key, count - 1);
    else if (count === 1) seam.known.delete(key);
    return count === 0;
  });
}

export type TailState =
  | { is: 'connecting' }
  | { is: 'open' }
  /** Lost, and tried again by itself. */
  | { is: 'waiting'; retryMs: number }
  /** Not tried again: the server does not have it, or does not take the query. */
  | { is: 'refused'; error: unknown };

/** The part of a WebSocket that is used. */
export type Socket = Pick<WebSocket, 'onopen' | 'onmessage' | 'onclose' | 'close'>;

interface Wiring {
  query: string;
  startNs: string;
  buffer: TailBuffer;
  /** The names of stream labels. */
  labels: ReadonlySet<string>;
  connect: (address: string) => Socket;
  /** Why a connection that never opened did not: a WebSocket does not tell. Resolves to nothing when trying again may help. */
  diagnose: (address: string) => Promise<unknown>;
  /** Something has changed: lines, the count of dropped ones, or the state. */
  changed: () => void;
}

/** Follows a query until it is stopped. After a break it goes on where it was, without loss or repetition. */
export class Tail {
  state: TailState = { is: 'connecting' };
  dropped = 0;
  /** How often the connection broke, and whether lines may be missing since. */
  breaks = 0;
  gap = false;
  private socket: Socket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private stopped = false;

  constructor(private readonly wiring: Wiring) {
    this.open();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private open(): void {
    const seam = this.wiring.buffer.seam();
    const limit = seam ? HISTORY_AGAIN : HISTORY_FIRST;
    const start = seam?.startNs ?? this.wiring.startNs;
    const address = `${TAIL_PATH}?${new URLSearchParams({ query: this.wiring.query, limit: `${limit}`, start }).toString()}`;
    let opened = false;
    let history = seam !== undefined;
    const socket = this.wiring.connect(address);
    this.socket = socket;
    this.become({ is: 'connecting' });
    socket.onopen = () => {
      opened = true;
      this.become({ is: 'open' });
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (this.stopped || typeof data !== 'string') return;
      const { rows, dropped } = readFrame(data, this.wiring.labels);
      // The first message after a break closes the gap; as much as may come at once may not have been all.
      if (history && rows.length >= limit) this.gap = true;
      history = false;
      if (rows.length) this.attempt = 0;
      this.dropped += dropped;
      this.wiring.buffer.push(afterSeam(rows, seam));
      this.wiring.changed();
    };
    socket.onclose = () => {
      if (this.stopped) return;
      if (opened) {
        this.breaks++;
        this.again();
      } else void this.refused(address);
    };
  }

  private async refused(address: string): Promise<void> {
    const error = await this.wiring.diagnose(address);
    if (this.stopped) return;
    if (error === undefined) this.again();
    else this.become({ is: 'refused', error });
  }

  private again(): void {
    const retryMs = RETRY_MS[Math.min(this.attempt++, RETRY_MS.length - 1)] ?? 8000;
    this.become({ is: 'waiting', retryMs });
    this.timer = setTimeout(() => this.open(), retryMs);
  }

  private become(state: TailState): void {
    this.state = state;
    this.wiring.changed();
  }
}
