import { join } from 'node:path';
import { ensureAdminSecret } from '../../auth/admin-secret.ts';
import { createCodeStore } from '../../builds/code-store.ts';
import type { Config } from '../../config/config-schema.ts';
import type { AcceptedDeploys } from '../../core/ports.ts';
import type { Clock } from '../../core/clock.ts';
import type { JobEngine } from '../../jobs/create-jobs.ts';
import type { StoredFunctionRegistry } from '../../registry/function-registry.ts';
import { createNamespaceRegistry } from '../../registry/namespace-registry.ts';
import { createSecretRegistry } from '../../registry/secret-registry.ts';
import { createSigningKeys } from '../../registry/signing-keys.ts';
import type { KeyValue } from '../../store/key-value.ts';
import type { Queue } from '../../store/queue.ts';
import { emptyNamespace } from '../empty-namespace.ts';
import { givenCredentials } from './wire-credentials.ts';

/** Real code compresses to a fifth, rarely to a fiftieth; an archive beyond this is a bomb. */
const CODE_MAX_RATIO = 200;

/** What {@link wireKeepers} joins. */
export interface WireKeepersOptions {
  readonly config: Config;
  readonly store: KeyValue;
  readonly queue: Queue;
  readonly clock: Clock;
  /** What is made of these, and so after them. */
  readonly later: {
    readonly registry?: StoredFunctionRegistry;
    readonly deploys?: AcceptedDeploys;
    readonly jobs?: JobEngine;
  };
}

/** Joins what keeps namespaces, code, secrets and keys in store and data directory. Throws STORE_FAILED. */
export async function wireKeepers({ config, store, queue, clock, later }: WireKeepersOptions) {
  const given = givenCredentials(config);
  const keyPath = join(config.dataDir, 'secrets.key');
  const [admin, namespaces, code] = await Promise.all([
    ensureAdminSecret({ store, given: given.secret }),
    createNamespaceRegistry({
      store,
      clock,
      reservedCalls: (namespace) => later.registry?.reservedCalls(namespace) ?? 0,
      empty: async (namespace) => {
        if (later.jobs) await emptyNamespace(namespace, { queue, jobs: later.jobs });
      },
    }),
    createCodeStore({
      directory: join(config.dataDir, 'code'),
      limits: {
        archiveBytes: config.uploadMaxBytes,
        unpackedBytes: config.codeMaxBytes,
        entries: config.codeMaxFiles,
        ratio: CODE_MAX_RATIO,
      },
    }),
  ]);
  const secrets = await createSecretRegistry({
    store,
    keyPath,
    namespaces,
    clock,
    usedBy: (namespace, name) =>
      later.registry?.secretUser(namespace, name) ??
      later.deploys?.list(namespace).find(({ input }) => input.spec.secrets.includes(name))?.input.name,
  });
  const signingKeys = await createSigningKeys({ store, keyPath, namespaces, clock });
  return { admin: { ...admin, user: given.user }, namespaces, code, secrets, signingKeys };
}
