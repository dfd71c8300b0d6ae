import { useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';
import { ApiError, getJson } from '../../api/client';
import { logLabels, type LogRow } from '../../api/loki';
import { toNs } from '../../time/range';
import { Tail, TailBuffer, type TailState } from './tail';

/** Between two pictures of the list: it reads as a stream, and leaves the browser time for everything else. */
const FRAME_MS_MIN = 50;

export interface TailView {
  /** In the order in which they came. While paused they stand still. */
  rows: LogRow[];
  /** Lines that came since the list stands still. */
  waiting: number;
  received: number;
  evicted: number;
  dropped: number;
  breaks: number;
  gap: boolean;
  state: TailState;
}

const NOTHING: TailView = {
  rows: [],
  waiting: 0,
  received: 0,
  evicted: 0,
  dropped: 0,
  breaks: 0,
  gap: false,
  state: { is: 'connecting' },
};

/** Follows the query, beginning with the last lines since `startMs`. Lines that come while it is `paused` are kept and counted, and not shown. */
export function useTail(query: string, startMs: number, paused: boolean): TailView {
  const [view, setView] = useState(NOTHING);
  const source = useRef<{ tail: Tail; buffer: TailBuffer }>(undefined);
  const shownAt = useRef(0);
  const from = useEffectEvent(() => toNs(startMs));

  const publish = useCallback((still: boolean) => {
    const { tail, buffer } = source.current ?? {};
    if (!tail || !buffer) return;
    if (!still) shownAt.current = buffer.received;
    setView((old) => ({
      rows: still ? old.rows : buffer.rows(),
      waiting: buffer.received - shownAt.current,
      received: buffer.received,
      evicted: buffer.evicted,
      dropped: tail.dropped,
      breaks: tail.breaks,
      gap: tail.gap,
      state: tail.state,
    }));
  }, []);
  const show = useEffectEvent(() => publish(paused));

  useEffect(() => {
    let frame = 0;
    let drawnAt = -Infinity;
    const draw = (now: number) => {
      frame = 0;
      if (now - drawnAt < FRAME_MS_MIN) return request();
      drawnAt = now;
      show();
    };
    const request = () => {
      frame ||= requestAnimationFrame(draw);
    };
    const buffer = new TailBuffer();
    let stop = () => {};
    const abort = new AbortController();
    // Tail does not say which labels are the stream's: the list of labels does. Without it all count as the stream's.
    void logLabels({ startNs: from(), endNs: toNs(Date.now() + 60_000) }, abort.signal)
      .catch(() => [])
      .then((labels) => {
        if (abort.signal.aborted) return;
        const tail = new Tail({
          query,
          startNs: from(),
          buffer,
          labels: new Set(labels),
          connect,
          diagnose,
          changed: request,
        });
        source.current = { tail, buffer };
        stop = () => tail.stop();
        request();
      });
    return () => {
      abort.abort();
      stop();
      cancelAnimationFrame(frame);
      source.current = undefined;
      setView(NOTHING);
    };
  }, [query]);

  useEffect(() => {
    publish(paused);
  }, [paused, publish]);

  return view;
}

function connect(address: string): WebSocket {
  const url = new URL(address, window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(url);
}

/** The same question without the upgrade: its refusal has words. */
async function diagnose(address: string): Promise<unknown> {
  try {
    await getJson(address);
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) return undefined;
    const absent = error.status === 501;
    const unwell = error.status === 0 || (error.status >= 500 && !absent) || error.status === 429;
    // An endpoint that is there and only misses the upgrade is worth another attempt, as one is that is not well.
    return unwell || error.status === 426 || /upgrade|websocket/i.test(error.what) ? undefined : error;
  }
}
