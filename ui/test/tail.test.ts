import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogRow } from '../src/api/loki';
import { afterSeam, readFrame, Tail, TailBuffer, type Socket } from '../src/pages/logs/tail';

const NONE = new Set<string>();
const row = (ns: number | string, line = `line ${ns}`): LogRow => ({
  ns: `${ns}`,
  line,
  stream: { app: 'web' },
  metadata: {},
  parsed: {},
});
const lines = (rows: LogRow[]) => rows.map(({ line }) => line);
const frame = (values: [string, string][], dropped: unknown = null) =>
  JSON.stringify({ streams: [{ stream: { app: 'web' }, values }], dropped_entries: dropped });

it('reads a frame of several streams in the order of time, and counts what the server dropped', () => {
  const text = JSON.stringify({
    streams: [
      {
        stream: { app: 'a', trace_id: 'x' },
        values: [
          ['3', 'three'],
          ['1', 'one'],
        ],
      },
      { stream: { app: 'b' }, values: [['2', 'two']] },
    ],
    dropped_entries: [{ labels: '{}', timestamp: '1' }],
  });
  const { rows, dropped } = readFrame(text, new Set(['app']));
  expect(lines(rows)).toEqual(['one', 'two', 'three']);
  expect(rows[0]).toMatchObject({ stream: { app: 'a' }, metadata: { trace_id: 'x' } });
  expect(dropped).toBe(1);
  expect(readFrame('{"dropped_entries":[{},{}]}', NONE)).toEqual({ rows: [], dropped: 2 });
});

describe('TailBuffer', () => {
  it('keeps the newest in the order in which they came', () => {
    const buffer = new TailBuffer(3);
    buffer.push([row(1), row(2)]);
    expect(lines(buffer.rows())).toEqual(['line 1', 'line 2']);
    buffer.push([row(3), row(4), row(5)]);
    expect(lines(buffer.rows())).toEqual(['line 3', 'line 4', 'line 5']);
    expect([buffer.received, buffer.evicted]).toEqual([5, 2]);
  });
  it('takes a minute of 5 000 lines a second with little work', () => {
    const buffer = new TailBuffer();
    const batch = Array.from({ length: 250 }, (_, at) => row(at, 'x'.repeat(200)));
    const began = performance.now();
    for (let at = 0; at < 1200; at++) {
      buffer.push(batch);
      buffer.rows();
    }
    expect(buffer.received).toBe(300_000);
    expect(buffer.rows()).toHaveLength(10_000);
    expect(performance.now() - began).toBeLessThan(6000);
  });
  it('goes on a little before its last line, and knows what it has from there', () => {
    const buffer = new TailBuffer();
    const at = (seconds: number) => `${1_700_000_000 + seconds}000000000`;
    buffer.push([row(at(0)), row(at(5)), row(at(7), 'a'), row(at(7), 'a'), row(at(6), 'late')]);
    const seam = buffer.seam();
    expect(seam?.startNs).toBe(at(5));
    const again = [
      row(at(5)),
      row(at(6), 'late'),
      row(at(6), 'lost'),
      row(at(7), 'a'),
      row(at(7), 'a'),
      row(at(7), 'a'),
    ];
    expect(lines(afterSeam(again, seam))).toEqual(['lost', 'a']);
    expect(new TailBuffer().seam()).toBeUndefined();
  });
  it('never goes back behind what it has pushed out', () => {
    const buffer = new TailBuffer(2);
    buffer.push([row(10), row(11), row(12)]);
    expect(buffer.seam()?.startNs).toBe('11');
    buffer.push([row(12, 'b'), row(12, 'c')]);
    expect(buffer.seam()?.startNs).toBe('12');
  });
});

describe('Tail', () => {
  const sockets: { address: string; socket: Socket }[] = [];
  const last = () => sockets.at(-1) as { address: string; socket: Socket };
  const start = () => new URLSearchParams(last().address.split('?')[1]).get('start');
  const say = (text: string) => last().socket.onmessage?.call({} as WebSocket, { data: text } as MessageEvent);
  const opens = () => last().socket.onopen?.call({} as WebSocket, {} as Event);
  const closes = () => last().socket.onclose?.call({} as WebSocket, {} as CloseEvent);
  const follow = (buffer: TailBuffer, diagnose: () => Promise<unknown> = () => Promise.resolve(undefined)) =>
    new Tail({
      query: '{app="web"}',
      startNs: '100',
      buffer,
      labels: NONE,
      connect: (address) => {
        const socket: Socket = { onopen: null, onmessage: null, onclose: null, close: vi.fn() };
        sockets.push({ address, socket });
        return socket;
      },
      diagnose,
      changed: () => {},
    });
  beforeEach(() => {
    sockets.length = 0;
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('goes on after a break without loss or repetition', () => {
    const buffer = new TailBuffer();
    const tail = follow(buffer);
    expect(start()).toBe('100');
    opens();
    say(
      frame([
        ['200', 'a'],
        ['300', 'b'],
      ]),
    );
    closes();
    expect(tail.state).toEqual({ is: 'waiting', retryMs: 500 });
    vi.advanceTimersByTime(500);
    expect(Number(start())).toBeLessThanOrEqual(300);
    opens();
    say(
      frame([
        ['300', 'b'],
        ['300', 'b2'],
        ['400', 'c'],
      ]),
    );
    expect(lines(buffer.rows())).toEqual(['a', 'b', 'b2', 'c']);
    expect([tail.breaks, tail.gap, tail.state.is]).toEqual([1, false, 'open']);
  });
  it('waits longer each time, and says when lines may be missing', async () => {
    const buffer = new TailBuffer();
    const tail = follow(buffer);
    opens();
    say(frame([['200', 'a']], [{}, {}, {}]));
    expect(tail.dropped).toBe(3);
    closes();
    for (const ms of [500, 1000, 2000]) {
      expect(tail.state).toEqual({ is: 'waiting', retryMs: ms });
      vi.advanceTimersByTime(ms);
      closes();
      await vi.advanceTimersByTimeAsync(0);
    }
    vi.advanceTimersByTime(4000);
    opens();
    say(frame(Array.from({ length: 5000 }, (_, at) => [`${1000 + at}`, `x${at}`])));
    expect(tail.gap).toBe(true);
  });
  it('stops at a refusal, and when it is told to', async () => {
    const error = new Error('parse error');
    const tail = follow(new TailBuffer(), () => Promise.resolve(error));
    closes();
    await vi.advanceTimersByTimeAsync(0);
    expect(tail.state).toEqual({ is: 'refused', error });
    const other = follow(new TailBuffer());
    other.stop();
    closes();
    vi.advanceTimersByTime(60_000);
    expect(sockets).toHaveLength(2);
    expect(last().socket.close).toHaveBeenCalled();
  });
});
