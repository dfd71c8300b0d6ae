import type { EntityKind } from '../../api/topology';
import { NODE_HEIGHT as H, NODE_WIDTH as W } from './layout';
import classes from './Map.module.css';

/** The outline tells the kind, as the word below the name does; the colour tells only how it is doing. */
export function Outline({ kind, folded }: { kind: EntityKind; folded: boolean }) {
  return (
    <>
      {folded && kind === 'business_service' && (
        <rect x={8} y={-6} width={W - 16} height={H} rx={8} className={classes.behind} />
      )}
      {folded && <rect x={4} y={-3} width={W - 8} height={H} rx={8} className={classes.behind} />}
      <path d={outlineOf(kind)} className={classes.outline} />
      {kind === 'database' && <path d={`M0 7C0 15 ${W} 15 ${W} 7`} className={classes.inner} />}
      {kind === 'queue' && (
        <path d={`M${W - 9} 0C${W - 20} 0 ${W - 20} ${H} ${W - 9} ${H}`} className={classes.inner} />
      )}
    </>
  );
}

function outlineOf(kind: EntityKind): string {
  switch (kind) {
    case 'database':
      return `M0 7C0 -2.5 ${W} -2.5 ${W} 7V${H - 7}C${W} ${H + 2.5} 0 ${H + 2.5} 0 ${H - 7}Z`;
    case 'queue':
      return `M9 0H${W - 9}C${W + 3} 0 ${W + 3} ${H} ${W - 9} ${H}H9C-3 ${H} -3 0 9 0Z`;
    case 'external':
      return `M14 0H${W - 14}L${W} ${H / 2}L${W - 14} ${H}H14L0 ${H / 2}Z`;
    case 'user':
      return `M${H / 2} 0H${W - H / 2}A${H / 2} ${H / 2} 0 0 1 ${W - H / 2} ${H}H${H / 2}A${H / 2} ${H / 2} 0 0 1 ${H / 2} 0Z`;
    default:
      return `M8 0H${W - 8}Q${W} 0 ${W} 8V${H - 8}Q${W} ${H} ${W - 8} ${H}H8Q0 ${H} 0 ${H - 8}V8Q0 0 8 0Z`;
  }
}
