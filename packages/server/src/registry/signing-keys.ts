import { randomBytes } from 'node:crypto';
import { signingKeyResourceSchema, type SigningKeyResource } from '@ebb/contract';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import type { NamespaceRegistry, SigningKeys } from '../core/ports.ts';
import type { Entry, KeyValue } from '../store/key-value.ts';
import { openSecretKey } from './open-secret-key.ts';
import { requireName } from './require-name.ts';
import { seal, sealedSchema, unseal } from './seal.ts';
import { signingKeyKey } from './store-keys.ts';

/** How long a key that was replaced is still used beside the new one. */
export const OLD_KEY_MS = 86_400_000;

const KEY_BYTES = 32;
const recordSchema = z.object({ sealed: sealedSchema });

/** What signing keys are built from. */
export interface SigningKeysOptions {
  readonly store: KeyValue;
  /** File of the key that secrets are sealed with; made when there is none. */
  readonly keyPath: string;
  readonly namespaces: Pick<NamespaceRegistry, 'get'>;
  readonly clock: Clock;
}

/** Opens the signing keys, sealed with the key of the secrets. Throws STORE_FAILED as the registry of secrets does. */
export async function createSigningKeys(options: SigningKeysOptions): Promise<SigningKeys> {
  const { store, keyPath, namespaces, clock } = options;
  const sealingKey = await openSecretKey(store, keyPath);

  const read = (namespace: string, entry: Entry): SigningKeyResource => {
    try {
      const { sealed } = recordSchema.parse(JSON.parse(entry.value));
      const opened = unseal(sealingKey, entry.key, sealed);
      if (!opened) throw new Error('it does not open under the key of the secrets');
      const { previous, ...current } = signingKeyResourceSchema.parse(JSON.parse(Buffer.from(opened).toString()));
      const isUsed = previous !== undefined && Date.parse(previous.until) > clock.now();
      return { ...current, ...(isUsed ? { previous } : {}) };
    } catch (cause) {
      throw new EbbError(
        'STORE_FAILED',
        `the signing key of namespace "${namespace}" is damaged; put back a backup of the data directory`,
        { cause },
      );
    }
  };

  /** Writes a key unless somebody else was faster; then undefined. */
  const write = async (
    namespace: string,
    ifVersion: number,
    previous: SigningKeyResource | undefined,
  ): Promise<SigningKeyResource | undefined> => {
    const now = clock.now();
    const made: SigningKeyResource = {
      key: `ebbsk_${randomBytes(KEY_BYTES).toString('base64url')}`,
      createdAt: new Date(now).toISOString(),
      ...(previous && { previous: { key: previous.key, until: new Date(now + OLD_KEY_MS).toISOString() } }),
    };
    const key = signingKeyKey(namespace);
    const value = JSON.stringify({ sealed: seal(sealingKey, key, Buffer.from(JSON.stringify(made))) });
    const result = await store.commit([{ kind: 'set', key, value, ifVersion }]);
    return result.kind === 'committed' ? made : undefined;
  };

  const requireNamespace = (namespace: string): void => {
    requireName(namespace, 'namespace');
    if (namespaces.get(namespace)) return;
    throw new EbbError('NAMESPACE_NOT_FOUND', `there is no namespace "${namespace}"`);
  };

  const get = async (namespace: string): Promise<SigningKeyResource> => {
    requireNamespace(namespace);
    const entry = await store.get(signingKeyKey(namespace));
    if (entry) return read(namespace, entry);
    return (await write(namespace, 0, undefined)) ?? get(namespace);
  };

  const rotate = async (namespace: string): Promise<SigningKeyResource> => {
    const before = await get(namespace);
    const entry = await store.get(signingKeyKey(namespace));
    return (await write(namespace, entry?.version ?? 0, before)) ?? rotate(namespace);
  };

  return { get, rotate };
}
