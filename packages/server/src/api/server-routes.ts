import {
  findingSchema,
  type Finding,
  type HealthResource,
  healthResourceSchema,
  type VersionInfo,
  versionInfoSchema,
} from '@ebb/contract';
import { z } from 'zod';
import { defineRoute, type Route } from './route.ts';

/** What the routes about the server itself need. */
export interface ServerRouteOptions {
  readonly info: VersionInfo;
  readonly health: () => HealthResource | Promise<HealthResource>;
  readonly engineFindings: () => Promise<readonly Finding[]>;
  /** The OpenAPI document of all routes. */
  readonly openApi: () => unknown;
}

/** Routes about the server itself. */
export function serverRoutes({ info, health, engineFindings, openApi }: ServerRouteOptions): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/health',
      scope: 'open',
      operation: 'getHealth',
      summary: 'How the server is. The status is 503 while it shuts down.',
      answer: { kind: 'json', schema: healthResourceSchema, description: 'The server answers.' },
      statusOf: (value) => (healthResourceSchema.parse(value).status === 'draining' ? 503 : 200),
      handle: () => health(),
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/version',
      scope: 'server:read',
      operation: 'getVersion',
      summary: 'What the server is.',
      answer: { kind: 'json', schema: versionInfoSchema, description: 'Name and versions.' },
      handle: () => info,
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/openapi.json',
      scope: 'open',
      operation: 'getOpenApi',
      summary: 'This description of the API.',
      answer: { kind: 'json', schema: z.record(z.string(), z.unknown()), description: 'OpenAPI 3.1.' },
      handle: () => openApi(),
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/doctor',
      scope: 'server:read',
      operation: 'getDoctor',
      summary: 'What the host offers and lacks, and what to do about it.',
      answer: { kind: 'json', schema: z.array(findingSchema), description: 'One finding per check.' },
      errors: ['ENGINE_UNAVAILABLE', 'ENGINE_TIMEOUT'],
      handle: () => engineFindings(),
    }),
  ];
}
