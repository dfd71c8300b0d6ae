import type { Entity } from '../../api/topology';
import type { Address } from '../../app/address';
import { quoted } from '../logs/selector';

/** Where other pages tell of an entity; undefined for what sends nothing itself. */
export interface Leads {
  service: string | undefined;
  logs: string | undefined;
  /** The trace search's words. */
  traces: (failed: boolean) => Address;
  metrics: Address;
}

const NOBODY = 'unassigned';

/** Labels by which an entity's own records are found: `[label, value]`. */
export function identityOf(entity: Entity): [string, string][] {
  switch (entity.kind) {
    case 'business_service':
      return [['business_service', entity.name]];
    case 'service':
      return [
        ['business_service', entity.businessService ?? NOBODY],
        ['service', entity.name],
      ];
    case 'component':
      // What nobody claims has no component of its own, only the name that it gave itself.
      return unclaimed(entity)
        ? [['service_name', entity.name]]
        : [
            ['business_service', entity.businessService ?? ''],
            ['component', entity.name],
          ];
    default:
      return [];
  }
}

export function unclaimed({ businessService }: Entity): boolean {
  return businessService === undefined || businessService === NOBODY;
}

/** A PromQL or LogQL selector of its own records. */
export function selectorOf(entity: Entity, more = ''): string {
  const parts = identityOf(entity).map(([label, value]) => `${label}=${quoted(value)}`);
  return `{${[...parts, ...(more ? [more] : [])].join(', ')}}`;
}

export function leadsOf(entity: Entity): Leads {
  const own = identityOf(entity);
  const name = own.map(([label, value]) => `${label === 'service_name' ? 'service.name' : label}=${word(value)}`);
  const business = entity.kind === 'business_service' ? entity.name : entity.businessService;
  return {
    service: entity.kind === 'user' ? undefined : pathOf(entity),
    logs: own.length ? selectorOf(entity) : undefined,
    traces: (failed) => ({ tags: [...name, ...(failed ? ['status=error'] : [])].join(' ') }),
    metrics: business ? { business_service: business } : {},
  };
}

function word(value: string): string {
  return /^[^\s"=\\]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** The name in the address of its own page: the whole place in the company, so that two of one name stay apart. */
export function pathOf(entity: Entity): string {
  return entity.id.slice(entity.id.indexOf(':') + 1);
}

/** The entity that an address names: by its whole place, else by its name alone, the finest first. */
export function entityAt(entities: Entity[], name: string, kind?: string): Entity | undefined {
  const fit = entities.filter((entity) => kind === undefined || entity.kind === kind);
  const order = ['component', 'service', 'business_service', 'database', 'queue', 'external'];
  const finest = (found: Entity[]) =>
    [...found].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || (a.id < b.id ? -1 : 1))[0];
  return (
    finest(fit.filter((entity) => pathOf(entity) === name)) ?? finest(fit.filter((entity) => entity.name === name))
  );
}
