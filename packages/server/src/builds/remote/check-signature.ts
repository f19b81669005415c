import { timingSafeEqual } from 'node:crypto';

/** The digest in `X-Build-Signature`, as its sender writes it; undefined for anything else. */
export function readSignature(header: string | readonly string[] | undefined): Buffer | undefined {
  const [, hex] = /^sha256=([0-9a-fA-F]{64})$/.exec(typeof header === 'string' ? header.trim() : '') ?? [];
  return hex === undefined ? undefined : Buffer.from(hex, 'hex');
}

/** Whether the digest that was given is the one that was made here; takes as long for any wrong one. */
export function isSignature(given: Uint8Array, made: Uint8Array): boolean {
  return given.length === made.length && timingSafeEqual(given, made);
}
