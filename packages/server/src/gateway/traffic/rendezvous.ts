import type { Share } from '@ebb/contract';

/**
 * The side a key is on, as an index of `shares`: weighted rendezvous hashing. Of many keys each side has its share; when
 * shares change, keys move only to sides that gained more than those they leave; of two sides that is as few as can be. The score
 * `share / -ln(u)`, with `u` even over 0 to 1 by key and version, is Schindelhauer's and Schomaker's logarithmic method.
 */
export function rendezvous(key: string, shares: readonly Share[]): number {
  const hash = hashText(key);
  let best = 0;
  let most = -1;
  for (let index = 0; index < shares.length; index += 1) {
    const { version, share } = shares[index] as Share;
    const even = (mix(hash ^ mix(version)) + 0.5) / 4_294_967_296;
    const score = share / -Math.log(even);
    if (score > most) {
      best = index;
      most = score;
    }
  }
  return best;
}

/** FNV-1a over the characters. */
function hashText(text: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01_00_01_93);
  return mix(hash);
}

/** The end of MurmurHash3: every bit of the input decides about every bit of the result, which is 0 to 2^32 - 1. */
function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85_eb_ca_6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
