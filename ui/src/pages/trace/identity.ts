import type { Attributes, Span } from '../../api/otlp';

/** Whose a span is, from the business down to the part that sent it; empty where nobody said. */
export interface Identity {
  businessService: string;
  service: string;
  component: string;
  team: string;
  region: string;
  environment: string;
}

export function attribute(fields: Attributes, ...names: string[]): string {
  for (const name of names) {
    const value = fields.find(([key]) => key === name)?.[1];
    if (value) return value;
  }
  return '';
}

/** As Tyto wrote it into the resource when the span arrived; OpenTelemetry's own names where it came without. */
export function identityOf({ resource, service }: Pick<Span, 'resource' | 'service'>): Identity {
  return {
    businessService: attribute(resource, 'omd.business_service'),
    service: attribute(resource, 'omd.service', 'service.namespace'),
    component: attribute(resource, 'omd.component') || service,
    team: attribute(resource, 'omd.team'),
    region: attribute(resource, 'omd.region', 'cloud.region'),
    environment: attribute(resource, 'omd.environment', 'deployment.environment.name', 'deployment.environment'),
  };
}
