import { useNavigate } from '@tanstack/react-router';
import { useEffect, useEffectEvent, useRef } from 'react';
import { useTime } from '../time/useTime';
import { timeWords, useAddress } from './address';

const PAGES = { h: '/', l: '/logs', m: '/charts', c: '/cardinality', t: '/traces', s: '/sql' } as const;
const SEQUENCE_MS = 1200;

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function useGlobalKeys(showKeys: () => void): void {
  const navigate = useNavigate();
  const [address] = useAddress();
  const time = useTime();
  const goAt = useRef(0);
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const page = PAGES[event.key as keyof typeof PAGES];
    if (page && Date.now() - goAt.current < SEQUENCE_MS) {
      goAt.current = 0;
      void navigate({ to: page, search: timeWords(address) });
    } else if (event.key === 'g') goAt.current = Date.now();
    else if (event.key === '?') showKeys();
    else if (event.key === 'r') time.refresh();
    else if (event.key === '/') {
      const field = document.querySelector<HTMLElement>(
        '[data-query] .cm-content, [data-query] input, input[data-query]',
      );
      if (!field) return;
      field.focus();
      event.preventDefault();
    }
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      onKey(event);
    };
    window.addEventListener('keydown', listener);
    return () => {
      window.removeEventListener('keydown', listener);
    };
  }, []);
}

/** A dialog, a menu or a list of choices closes itself by Esc, and nothing behind it. */
function inOverlay(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('[role="dialog"], [role="menu"], [role="listbox"]') !== null;
}

/** Esc, unless a field or something that lies over the page wants it. */
export function useEscape(close: () => void): void {
  const onEscape = useEffectEvent((event: KeyboardEvent) => {
    if (event.key === 'Escape' && !event.defaultPrevented && !typing(event.target) && !inOverlay(event.target)) close();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => {
      onEscape(event);
    };
    window.addEventListener('keydown', listener);
    return () => {
      window.removeEventListener('keydown', listener);
    };
  }, []);
}
