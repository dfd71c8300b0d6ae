/** A pipeline to begin with: it is for everybody, so that there are records to try it on. */
export const TEMPLATE = `name: first
about: What nobody is to read is hidden, what nobody needs is dropped.
match: {when: 'true'}  # everybody's records; or business_service: payments
stages:
  - mask: {kinds: [secrets, card, email]}
  - drop: {when: 'match(.body, r''/health'')', reason: health_check}
`;
