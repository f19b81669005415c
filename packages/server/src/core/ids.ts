import { randomBytes, randomUUID } from 'node:crypto';

/**
 * A new call id: a UUID that begins with the moment (version 7), so that those of calls that are kept together lie
 * together in an index. 74 bits of it are random.
 */
export function newCallId(): string {
  const moment = Date.now().toString(16).padStart(12, '0');
  return `${moment.slice(0, 8)}-${moment.slice(8)}-7${randomUUID().slice(15)}`;
}

/** A new short id of `bytes` random bytes in lower-case hexadecimal; safe in file, label and host names. */
export function newShortId(bytes = 6): string {
  return randomBytes(bytes).toString('hex');
}
