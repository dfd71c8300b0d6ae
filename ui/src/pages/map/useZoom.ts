import { useCallback, useEffect, useRef, type RefObject } from 'react';

export interface View {
  x: number;
  y: number;
  scale: number;
}

const SCALE_MIN = 0.08;
const SCALE_MAX = 2.5;
/** Below it a node's numbers cannot be read: they give way to its name. */
const FAR_SCALE = 0.55;
/** Below it not even names can be read: those of the outer frames are written over them, as large as on paper. */
const AFAR_SCALE = 0.26;
const FRAME_NAME_PX = 14;
/** Letters grow by steps: each step styles the whole picture anew. */
const GROWTH = 1.2;
const MARGIN = 28;
const FIT_MAX = 1.1;

interface Zoom {
  box: RefObject<SVGSVGElement | null>;
  stage: RefObject<SVGGElement | null>;
  by: (factor: number) => void;
  fit: () => void;
  /** Brings a place into the middle, if it is not in sight. */
  show: (x: number, y: number, always?: boolean) => void;
}

/** Moves a picture under the pointer. It writes to the picture by itself: React draws only what changes in it. */
export function useZoom(width: number, height: number): Zoom {
  const box = useRef<SVGSVGElement>(null);
  const stage = useRef<SVGGElement>(null);
  const view = useRef<View>({ x: 0, y: 0, scale: 1 });

  const apply = useCallback((next: View) => {
    view.current = next;
    stage.current?.setAttribute('transform', `translate(${next.x} ${next.y}) scale(${next.scale})`);
    if (!box.current) return;
    const far = next.scale < AFAR_SCALE ? 'very' : String(next.scale < FAR_SCALE);
    const size = FRAME_NAME_PX * GROWTH ** Math.round(-Math.log(next.scale) / Math.log(GROWTH));
    if (box.current.dataset.far !== far) box.current.dataset.far = far;
    if (far !== 'false') box.current.style.setProperty('--frame-name', `${Math.round(size)}px`);
  }, []);

  const at = useCallback(
    (factor: number, x: number, y: number) => {
      const { x: left, y: top, scale: before } = view.current;
      const scale = Math.min(SCALE_MAX, Math.max(SCALE_MIN, before * factor));
      apply({ scale, x: x - ((x - left) * scale) / before, y: y - ((y - top) * scale) / before });
    },
    [apply],
  );

  const by = useCallback(
    (factor: number) => {
      const { width: w = 0, height: h = 0 } = box.current?.getBoundingClientRect() ?? {};
      at(factor, w / 2, h / 2);
    },
    [at],
  );

  const fit = useCallback(() => {
    const { width: w = 0, height: h = 0 } = box.current?.getBoundingClientRect() ?? {};
    if (!(w > 0 && h > 0 && width > 0 && height > 0)) return;
    const scale = Math.max(SCALE_MIN, Math.min(FIT_MAX, (w - MARGIN * 2) / width, (h - MARGIN * 2) / height));
    apply({ scale, x: (w - width * scale) / 2, y: (h - height * scale) / 2 });
  }, [apply, width, height]);

  const show = useCallback(
    (x: number, y: number, always = false) => {
      const { width: w = 0, height: h = 0 } = box.current?.getBoundingClientRect() ?? {};
      const { x: left, y: top, scale } = view.current;
      const [px, py] = [left + x * scale, top + y * scale];
      if (!always && px > 100 && px < w - 100 && py > 40 && py < h - 40) return;
      const next = Math.max(scale, always ? 0.8 : scale);
      apply({ scale: next, x: w / 2 - x * next, y: h / 2 - y * next });
    },
    [apply],
  );

  useEffect(() => {
    fit();
    const element = box.current;
    if (!element) return;
    let { width: last } = element.getBoundingClientRect();
    const resized = new ResizeObserver(() => {
      const now = element.getBoundingClientRect().width;
      if (now !== last) fit();
      last = now;
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
    };
  }, [fit]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const { left, top } = element.getBoundingClientRect();
      at(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX - left, event.clientY - top);
    };
    const fingers = new Map<number, { x: number; y: number }>();
    let moved = 0;
    const onDown = (event: PointerEvent) => {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      moved = 0;
    };
    const onMove = (event: PointerEvent) => {
      const from = fingers.get(event.pointerId);
      if (!from) return;
      const to = { x: event.clientX, y: event.clientY };
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      moved += Math.hypot(to.x - from.x, to.y - from.y);
      fingers.set(event.pointerId, to);
      if (moved < 4) return;
      if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
      const { x, y, scale } = view.current;
      if (!other) return void apply({ scale, x: x + to.x - from.x, y: y + to.y - from.y });
      const { left, top } = element.getBoundingClientRect();
      const spread = Math.hypot(to.x - other.x, to.y - other.y) / Math.hypot(from.x - other.x, from.y - other.y);
      if (Number.isFinite(spread) && spread > 0) at(spread, (to.x + other.x) / 2 - left, (to.y + other.y) / 2 - top);
    };
    const onUp = (event: PointerEvent) => {
      fingers.delete(event.pointerId);
    };
    // The end of a drag is no click on what happens to lie below the pointer.
    const onClick = (event: MouseEvent) => {
      if (moved >= 4) event.stopPropagation();
      moved = 0;
    };
    element.addEventListener('wheel', onWheel, { passive: false });
    element.addEventListener('pointerdown', onDown);
    element.addEventListener('pointermove', onMove);
    element.addEventListener('pointerup', onUp);
    element.addEventListener('pointercancel', onUp);
    element.addEventListener('click', onClick, { capture: true });
    return () => {
      element.removeEventListener('wheel', onWheel);
      element.removeEventListener('pointerdown', onDown);
      element.removeEventListener('pointermove', onMove);
      element.removeEventListener('pointerup', onUp);
      element.removeEventListener('pointercancel', onUp);
      element.removeEventListener('click', onClick, { capture: true });
    };
  }, [apply, at]);

  return { box, stage, by, fit, show };
}
