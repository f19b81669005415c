import { randomBytes } from 'node:crypto';
import { EbbError } from '../core/errors.ts';
import type { KeyValue } from '../store/key-value.ts';
import { hashSecret, verifySecret } from './secret-hash.ts';

const KEY = 'auth/admin-secret-hash';
const SECRET_BYTES = 32;

/** What the admin secret is kept in, and the one a setting gives. */
export interface AdminSecretOptions {
  readonly store: KeyValue;
  readonly given?: string | undefined;
}

/** The hash to check against; `created` is the secret itself, told once, at the start that made it. */
export interface AdminSecret {
  readonly hash: string;
  readonly created?: string;
}

/**
 * Makes sure there is an admin secret, of which only the hash is stored. One given by a setting replaces a different
 * one; without any, 32 random bytes are made. Throws CONFIG_INVALID for an empty setting, STORE_FAILED.
 */
export async function ensureAdminSecret({ store, given }: AdminSecretOptions): Promise<AdminSecret> {
  if (given === '') {
    throw new EbbError(
      'CONFIG_INVALID',
      'the admin secret is empty; give it a value, or leave the setting out to have one made',
    );
  }
  const hash = (await store.get(KEY))?.value;
  if (hash !== undefined && (given === undefined || (await verifySecret(given, hash)))) return { hash };

  const secret = given ?? randomBytes(SECRET_BYTES).toString('base64url');
  const created = await hashSecret(secret);
  await store.commit([{ kind: 'set', key: KEY, value: created }]);
  return given === undefined ? { hash: created, created: secret } : { hash: created };
}
