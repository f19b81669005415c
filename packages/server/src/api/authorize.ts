import type { Identity } from '../core/ports.ts';

/** What a route needs a caller to be allowed. */
const SCOPES = [
  'server:read',
  'namespaces:read',
  'namespaces:write',
  'functions:read',
  'functions:write',
  'code:write',
  'secrets:read',
  'secrets:write',
  'invocations:read',
  'invocations:write',
  'jobs:read',
  'jobs:write',
] as const;

/** What a route needs a caller to be allowed. */
export type Scope = (typeof SCOPES)[number];

const GRANTS: Readonly<Record<Identity['kind'], readonly Scope[]>> = { admin: SCOPES };

/** Whether a caller may do what a route does (T1). What is not granted is denied, so an empty list denies all. */
export function isAllowed(identity: Identity, scope: Scope): boolean {
  return GRANTS[identity.kind].includes(scope);
}
