import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

interface Cost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB and some 80 ms of one core a guess. */
const COST: Cost = { logN: 15, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** A stored hash that asks for more is refused rather than computed. */
const MAX_MEMORY_BYTES = 256 * 2 ** 20;

const FORMAT = /^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w-]{22})\$([\w-]{43})$/;

/** Hashes a secret with scrypt (RFC 7914), its parameters and a random salt in the text. Runs off the event loop. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(secret, salt, COST);
  const { logN, r, p } = COST;
  return `scrypt$ln=${logN},r=${r},p=${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/**
 * Whether `secret` is the one that `hash` was made from, compared in constant time. Runs off the event loop. Throws
 * TypeError for text that {@link hashSecret} did not make.
 */
export async function verifySecret(secret: string, hash: string): Promise<boolean> {
  const [, logN, r, p, salt, expected] = FORMAT.exec(hash) ?? [];
  if (salt === undefined || expected === undefined) throw new TypeError('not a hash that hashSecret made');
  const cost = { logN: Number(logN), r: Number(r), p: Number(p) };
  const actual = await derive(secret, Buffer.from(salt, 'base64url'), cost);
  return timingSafeEqual(actual, Buffer.from(expected, 'base64url'));
}

function derive(secret: string, salt: Uint8Array, { logN, r, p }: Cost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Both sides in one normal form, so that a secret typed on another system is the same.
    scrypt(
      secret.normalize('NFC'),
      salt,
      HASH_BYTES,
      { N: 2 ** logN, r, p, maxmem: MAX_MEMORY_BYTES },
      (error, hash) => {
        if (error) reject(error);
        else resolve(hash);
      },
    );
  });
}
