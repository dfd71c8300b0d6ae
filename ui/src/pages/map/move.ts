import type { Box } from './layout';

export type Direction = 'left' | 'right' | 'up' | 'down';

/** The node that lies next in a direction; what lies straight there is nearer than what lies aside. */
export function neighbour(
  boxes: ReadonlyMap<string, Box>,
  among: ReadonlySet<string>,
  from: string,
  direction: Direction,
): string | undefined {
  const here = boxes.get(from);
  if (!here) return undefined;
  const level = direction === 'left' || direction === 'right';
  const sign = direction === 'left' || direction === 'up' ? -1 : 1;
  const middle = (box: Box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  const start = middle(here);
  let best: string | undefined;
  let least = Infinity;
  for (const id of among) {
    const box = boxes.get(id);
    if (!box || id === from) continue;
    const to = middle(box);
    const ahead = sign * (level ? to.x - start.x : to.y - start.y);
    const aside = Math.abs(level ? to.y - start.y : to.x - start.x);
    if (ahead < 8) continue;
    // What lies more aside than ahead is taken only where nothing lies ahead.
    const cost = ahead + aside * 2.5 + (aside > ahead ? 1e5 : 0);
    if (cost >= least) continue;
    least = cost;
    best = id;
  }
  return best;
}
