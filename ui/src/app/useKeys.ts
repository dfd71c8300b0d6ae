import { useNavigate } from '@tanstack/react-router';
import { useEffect, useEffectEvent } from 'react';
import { useTime } from '../time/useTime';
import { timeWords, useAddress } from './address';

const PAGES = {
  h: '/',
  p: '/map',
  o: '/catalogue',
  e: '/scorecard',
  l: '/logs',
  i: '/pipelines',
  q: '/quarantine',
  m: '/charts',
  c: '/cardinality',
  t: '/traces',
  s: '/sql',
} as const;
const SEQUENCE_MS = 1200;
/** When `g` was pressed: the next key then names a page, and is no key of the page that shows. */
let goAt = 0;

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function useGlobalKeys(showKeys: () => void): void {
  const navigate = useNavigate();
  const [address] = useAddress();
  const time = useTime();
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const page = PAGES[event.key as keyof typeof PAGES];
    if (page && Date.now() - goAt < SEQUENCE_MS) {
      goAt = 0;
      void navigate({ to: page, search: timeWords(address) });
    } else if (event.key === 'g') goAt = Date.now();
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

/** Keys of one page, by their names; they rest while somebody types, in dialogs and menus, and after `g`. */
export function usePageKeys(keys: Record<string, () => void>): void {
  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target) || inOverlay(event.target) || document.querySelector('[role="dialog"]')) return;
    const act = keys[event.key];
    if (!act || Date.now() - goAt < SEQUENCE_MS) return;
    event.preventDefault();
    act();
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
