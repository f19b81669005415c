import type { Finding, HealthResource, VersionInfo } from '@ebb/contract';
import type {
  Captures,
  CodeStore,
  DeadLetters,
  FunctionRegistry,
  InstanceDirectory,
  Invocations,
  LogBook,
  NamespaceRegistry,
  OutcomeQueues,
  Rollouts,
  SecretRegistry,
  SigningKeys,
} from '../core/ports.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { aliasRoutes } from './alias-routes.ts';
import { codeRoutes } from './code-routes.ts';
import { deadLetterRoutes } from './dead-letter-routes.ts';
import { functionRoutes } from './function-routes.ts';
import { invocationRoutes } from './invocation-routes.ts';
import { jobRoutes } from './job-routes.ts';
import { namespaceRoutes } from './namespace-routes.ts';
import { buildOpenApi } from './openapi.ts';
import { queueRoutes } from './queue-routes.ts';
import { rolloutRoutes } from './rollout-routes.ts';
import type { Route } from './route.ts';
import { secretRoutes } from './secret-routes.ts';
import { serverRoutes } from './server-routes.ts';
import { signingKeyRoutes } from './signing-key-routes.ts';
import { versionRoutes } from './version-routes.ts';

/** What a request may be at most; absent ones have defaults. */
export interface ApiLimits {
  /** JSON bodies. Default 4 MiB. */
  readonly bodyMaxBytes?: number;
  /** Values of secrets. Default 1 MiB. */
  readonly secretMaxBytes?: number;
  /** Submits of asynchronous calls and of jobs. Default 64 MiB. */
  readonly submitMaxBytes?: number;
}

/** What the routes speak to. */
export interface ApiRoutesOptions {
  readonly registry: FunctionRegistry;
  readonly rollouts: Rollouts;
  readonly namespaces: NamespaceRegistry;
  readonly secrets: Omit<SecretRegistry, 'reveal'>;
  readonly code: CodeStore;
  readonly logs: LogBook;
  readonly instances: InstanceDirectory;
  readonly invocations: Invocations;
  readonly jobs: Jobs;
  readonly captures: Captures;
  readonly deadLetters: DeadLetters;
  readonly queues: OutcomeQueues;
  readonly signingKeys: SigningKeys;
  /** Throws DESTINATION_REFUSED for an address that outcomes must not be posted to. */
  readonly checkDestination: (url: string) => void;
  readonly info: VersionInfo;
  readonly health: () => HealthResource | Promise<HealthResource>;
  readonly engineFindings: () => Promise<readonly Finding[]>;
  readonly limits?: ApiLimits;
}

/** Every route of the control API; what is not in this list is not served. */
export function apiRoutes(options: ApiRoutesOptions): readonly Route[] {
  const { bodyMaxBytes = 4 * 2 ** 20, secretMaxBytes = 2 ** 20, submitMaxBytes = 64 * 2 ** 20 } = options.limits ?? {};
  let document: unknown;
  const routes: readonly Route[] = [
    ...serverRoutes({
      ...options,
      openApi: () => (document ??= buildOpenApi(routes, options.info.version)),
    }),
    ...namespaceRoutes({ ...options, bodyMaxBytes }),
    ...functionRoutes({ ...options, bodyMaxBytes }),
    ...versionRoutes({ ...options, bodyMaxBytes }),
    ...aliasRoutes({ ...options, bodyMaxBytes }),
    ...rolloutRoutes(options),
    ...codeRoutes(options),
    ...secretRoutes({ ...options, secretMaxBytes }),
    ...invocationRoutes({ ...options, submitMaxBytes }),
    ...jobRoutes({ ...options, submitMaxBytes }),
    ...deadLetterRoutes({ ...options, bodyMaxBytes }),
    ...queueRoutes({ ...options, bodyMaxBytes }),
    ...signingKeyRoutes(options),
  ];
  return routes;
}
