import { createHash, createHmac } from 'node:crypto';
import type { SigningKeyResource } from '@ebb/contract';

/** What is signed: the moment, the delivery, and the whole body. */
export interface SignedDelivery {
  /** Seconds since the Unix epoch. */
  readonly seconds: number;
  readonly id: string;
  /** SHA-256 of the body in lower-case hexadecimal. */
  readonly bodyDigest: string;
}

/**
 * The value of `X-Ebb-Signature`: `t=SECONDS,v1=HEX`, the HMAC-SHA256 over `SECONDS.ID.BODY_SHA256`. While a key that
 * was replaced is still in use there is a second `v1`, made with it.
 */
export function signDelivery(keys: SigningKeyResource, delivery: SignedDelivery): string {
  const text = `${delivery.seconds}.${delivery.id}.${delivery.bodyDigest}`;
  const used = [keys.key, ...(keys.previous === undefined ? [] : [keys.previous.key])];
  return [
    `t=${delivery.seconds}`,
    ...used.map((key) => `v1=${createHmac('sha256', key).update(text).digest('hex')}`),
  ].join(',');
}

/** SHA-256 in lower-case hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
