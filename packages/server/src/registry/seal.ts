import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { z } from 'zod';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Length of a key. */
export const KEY_BYTES = 32;

/** An encrypted value as it is stored. */
export const sealedSchema = z.object({ nonce: z.base64(), tag: z.base64(), data: z.base64() });
export type Sealed = z.output<typeof sealedSchema>;

/** Encrypts a value and binds it to `label`: it opens under the same key and label only. AES-256-GCM, random nonce. */
export function seal(key: Uint8Array, label: string, value: Uint8Array): Sealed {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(label));
  const data = Buffer.concat([cipher.update(value), cipher.final()]);
  return {
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    data: data.toString('base64'),
  };
}

/** Decrypts a value; undefined when key, label or content is not what was sealed. */
export function unseal(key: Uint8Array, label: string, sealed: Sealed): Uint8Array | undefined {
  const tag = Buffer.from(sealed.tag, 'base64');
  if (tag.length !== TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, Buffer.from(sealed.nonce, 'base64'), { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(label))
    .setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(Buffer.from(sealed.data, 'base64')), decipher.final()]);
  } catch {
    return undefined;
  }
}
