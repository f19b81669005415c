import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { EbbError } from '../core/errors.ts';
import type { Authenticator } from '../core/ports.ts';
import { type FromGateway, received, type SentError } from './messages.ts';

/** Addresses whose credentials are remembered at once. */
const MAX_REMEMBERED = 1_000;

/** An authenticator that asks the first process. */
export interface RemoteAuthenticator extends Authenticator {
  /** Takes the answer to a question. */
  answered(id: number, error?: SentError): void;
}

/**
 * Checks credentials where guesses are counted, in the first process, and remembers for each address the last ones
 * that were right. The first wrong ones from an address end that, so a guess meets what is remembered at most once for
 * each time the first process has let the address in.
 */
export function createRemoteAuthenticator(send: (message: FromGateway) => void): RemoteAuthenticator {
  const digestKey = randomBytes(32);
  const remembered = new Map<string, Buffer>();
  const asked = new Map<number, (error?: SentError) => void>();
  let lastId = 0;

  function remember(address: string, digest: Buffer): void {
    remembered.delete(address);
    remembered.set(address, digest);
    const oldest = remembered.size > MAX_REMEMBERED ? remembered.keys().next().value : undefined;
    if (oldest !== undefined) remembered.delete(oldest);
  }

  return {
    async authenticate(authorization, remoteAddress) {
      const digest = createHmac('sha256', digestKey)
        .update(authorization ?? '')
        .digest();
      const known = remembered.get(remoteAddress);
      if (known && timingSafeEqual(known, digest)) return { kind: 'admin' };
      remembered.delete(remoteAddress);
      lastId += 1;
      const id = lastId;
      const error = await new Promise<SentError | undefined>((resolve) => {
        asked.set(id, resolve);
        send({ kind: 'authenticate', id, authorization, remoteAddress });
      });
      if (error) throw received(error);
      if (authorization === undefined) throw new EbbError('UNAUTHENTICATED', 'the request carries no credentials');
      remember(remoteAddress, digest);
      return { kind: 'admin' };
    },
    answered(id, error) {
      asked.get(id)?.(error);
      asked.delete(id);
    },
  };
}
