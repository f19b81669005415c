import { createHash, randomBytes } from 'node:crypto';

/** Makes the token by which clients on the same machine are let in until the server ends; 32 random bytes. */
export function createLocalToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What the server keeps of a local token. One fast hash is enough: nobody guesses 256 random bits. */
export function hashLocalToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
