import { formatBytes, type SecretResource } from '@ebb/contract';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { NamespaceRegistry, SecretRegistry } from '../core/ports.ts';
import type { Entry, KeyValue } from '../store/key-value.ts';
import { requireName, requireSecretName } from './require-name.ts';
import { seal, sealedSchema, unseal } from './seal.ts';
import { openSecretKey } from './open-secret-key.ts';
import { secretKey } from './store-keys.ts';

/** Largest value of a secret. */
export const SECRET_MAX_BYTES = 2 ** 20;

const recordSchema = sealedSchema.extend({ updatedAt: z.iso.datetime() });
type SecretRecord = z.output<typeof recordSchema>;

/** What the registry of secrets is built from. */
export interface SecretRegistryOptions {
  readonly store: KeyValue;
  /** File of the key, made at the first start; without it the stored secrets are lost. */
  readonly keyPath: string;
  readonly namespaces: Pick<NamespaceRegistry, 'get'>;
  readonly clock: Clock;
  /** Name of a function that uses the secret, or undefined. */
  readonly usedBy: (namespace: string, name: string) => string | undefined;
}

/**
 * Opens the registry of secrets. Values are encrypted with a key outside the store and bound to namespace and name,
 * so that a record copied to another name does not open (T2, T3). Throws STORE_FAILED when the key is missing or is
 * not the one the stored secrets were encrypted with.
 */
export async function createSecretRegistry(options: SecretRegistryOptions): Promise<SecretRegistry> {
  const { store, keyPath, namespaces, clock, usedBy } = options;
  const key = await openSecretKey(store, keyPath);

  const requireNamespace = (namespace: string): void => {
    if (namespaces.get(namespace)) return;
    throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}"`);
  };

  const notFound = (namespace: string, name: string): EbbError =>
    new EbbError(
      'SECRET_NOT_FOUND',
      `there is no secret "${name}" in namespace "${namespace}"; "ebb secret list --namespace ${namespace}" shows those there are`,
    );

  const find = async (namespace: string, name: string): Promise<Entry | undefined> => {
    requireName(namespace, 'namespace');
    requireSecretName(name);
    return store.get(secretKey(namespace, name));
  };

  return {
    async list(namespace) {
      requireName(namespace, 'namespace');
      requireNamespace(namespace);
      const prefix = secretKey(namespace);
      const entries = await store.list(prefix);
      return entries.map((entry) => ({ name: entry.key.slice(prefix.length), updatedAt: parse(entry).updatedAt }));
    },

    async has(namespace, name) {
      return (await find(namespace, name)) !== undefined;
    },

    async set(namespace, name, value): Promise<SecretResource> {
      requireName(namespace, 'namespace');
      requireSecretName(name);
      if (value.byteLength > SECRET_MAX_BYTES) {
        throw new EbbError(
          'PAYLOAD_TOO_LARGE',
          `the value of secret "${name}" is ${formatBytes(value.byteLength)} but must be at most ${formatBytes(SECRET_MAX_BYTES)}`,
        );
      }
      const updatedAt = new Date(clock.now()).toISOString();
      const label = secretKey(namespace, name);
      const record: SecretRecord = { ...seal(key, label, value), updatedAt };
      requireNamespace(namespace);
      await store.commit([{ kind: 'set', key: label, value: JSON.stringify(record) }]);
      return { name, updatedAt };
    },

    async remove(namespace, name) {
      const entry = await find(namespace, name);
      if (!entry) throw notFound(namespace, name);
      // Nothing is awaited between this check and the commit: a deploy that starts later no longer finds the secret.
      const user = usedBy(namespace, name);
      if (user !== undefined) {
        throw new EbbError('SECRET_IN_USE', `secret "${name}" is used by function "${user}"; remove it there first`);
      }
      await store.commit([{ kind: 'delete', key: entry.key }]);
    },

    async reveal(namespace, name) {
      const entry = await find(namespace, name);
      if (!entry) throw notFound(namespace, name);
      const value = unseal(key, entry.key, parse(entry));
      if (value) return value;
      throw new EbbError('STORE_FAILED', `secret "${name}" of namespace "${namespace}" is damaged; set it again`);
    },
  };
}

function parse(entry: Entry): SecretRecord {
  try {
    return recordSchema.parse(JSON.parse(entry.value));
  } catch (cause) {
    throw new EbbError('STORE_FAILED', `the stored record "${entry.key}" cannot be read; set the secret again`, {
      cause,
    });
  }
}
