import { EbbError } from '../core/errors.ts';
import type { KeyValue } from '../store/key-value.ts';
import { seal, sealedSchema, unseal } from './seal.ts';
import { createKeyFile, readKeyFile } from './secret-key-file.ts';
import { SECRET_KEY_CHECK, SECRETS, SIGNING_KEYS } from './store-keys.ts';

const CHECK_VALUE = Buffer.from('ebb');

/**
 * Opens the key that values are sealed with before they get into the store, and makes it at the first start. Throws
 * STORE_FAILED when it is missing or is not the one that stored values were sealed with.
 */
export async function openSecretKey(store: KeyValue, path: string): Promise<Uint8Array> {
  const [key, check, secrets, signingKeys] = await Promise.all([
    readKeyFile(path),
    store.get(SECRET_KEY_CHECK),
    store.list(SECRETS),
    store.list(SIGNING_KEYS),
  ]);
  const sealed = secrets.length + signingKeys.length;
  if (!key && sealed > 0) {
    throw new EbbError(
      'STORE_FAILED',
      `the key ${path} is missing, so ${sealed} stored secrets cannot be opened; put back the file from a backup`,
    );
  }
  if (key && check) {
    if (unseal(key, SECRET_KEY_CHECK, sealedSchema.parse(JSON.parse(check.value)))) return key;
    throw new EbbError(
      'STORE_FAILED',
      `the key ${path} is not the one the stored secrets were encrypted with; put back the right file from a backup`,
    );
  }
  const used = key ?? (await createKeyFile(path));
  const value = JSON.stringify(seal(used, SECRET_KEY_CHECK, CHECK_VALUE));
  await store.commit([{ kind: 'set', key: SECRET_KEY_CHECK, value }]);
  return used;
}
