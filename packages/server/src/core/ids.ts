import { randomBytes, randomUUID } from 'node:crypto';

/** A new call id: a random UUID. */
export function newCallId(): string {
  return randomUUID();
}

/** A new short id of `bytes` random bytes in lower-case hexadecimal; safe in file, label and host names. */
export function newShortId(bytes = 6): string {
  return randomBytes(bytes).toString('hex');
}
