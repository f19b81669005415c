import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { createLane } from '../core/lane.ts';
import type { Authenticator, Identity } from '../core/ports.ts';
import { type AttemptOutcome, createGuessGuard } from './guess-guard.ts';
import { hashLocalToken } from './local-token.ts';
import { ADMIN_USER, parseCredentials } from './parse-credentials.ts';
import { verifySecret } from './secret-hash.ts';

/** Secrets hashed at once, and those that may wait for it: each takes memory and a core. */
const HASHING = 2;
const WAITING = 32;

const ADMIN: Identity = { kind: 'admin' };

/** What credentials are checked against. */
export interface AuthenticatorOptions {
  /** What `hashSecret` made of the admin secret. */
  readonly adminSecretHash: string;
  /** Name of the one user there is. Default: `admin`. */
  readonly user?: string;
  /** What `hashLocalToken` made of this start's token for clients on the same machine. */
  readonly localTokenHash?: string;
  readonly clock: Clock;
}

/**
 * Makes the authenticator. A secret costs a slow hash the first time only; afterwards a keyed digest of it, made
 * with a key that lives as long as the process, is compared in microseconds. A wrong user costs what a wrong secret
 * costs, and right credentials from an address that is held back are held back as well.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { adminSecretHash, localTokenHash, clock, user: admin = ADMIN_USER } = options;
  const guard = createGuessGuard(clock);
  const digestKey = randomBytes(32);
  const digest = (secret: string): Buffer => createHmac('sha256', digestKey).update(secret).digest();
  const localDigest = localTokenHash === undefined ? undefined : digest(localTokenHash);
  const checks = new Map<string, Promise<boolean>>();
  const lane = createLane({ running: HASHING, queue: { waiting: WAITING, refuse: refuseBusy } });
  let verified: Buffer | undefined;

  const isKnown = (secret: string, own: Buffer): boolean => {
    const isVerified = verified !== undefined && timingSafeEqual(own, verified);
    const isLocal = localDigest !== undefined && timingSafeEqual(digest(hashLocalToken(secret)), localDigest);
    return isVerified || isLocal;
  };

  /** Verifies slowly; the same credentials sent many times at once are verified, and counted, once. */
  const verify = (user: string, secret: string, own: Buffer, address: string): Promise<boolean> => {
    const key = `${address} ${user === admin} ${own.toString('base64')}`;
    const present = checks.get(key);
    if (present) return present;
    const end = guard.begin(address);
    let outcome: AttemptOutcome = 'unknown';
    const check = lane(() => verifySecret(secret, adminSecretHash))
      .then((matches) => {
        const accepted = matches && user === admin;
        outcome = accepted ? 'right' : 'wrong';
        if (accepted) verified = own;
        return accepted;
      })
      .finally(() => {
        end(outcome);
        checks.delete(key);
      });
    checks.set(key, check);
    return check;
  };

  return {
    async authenticate(authorization, remoteAddress) {
      guard.check(remoteAddress);
      if (authorization === undefined || authorization === '') {
        throw new EbbError(
          'UNAUTHENTICATED',
          'the request carries no credentials; send "Authorization: Bearer SECRET", or run `ebb login`',
        );
      }
      const credentials = parseCredentials(authorization, admin);
      if (!credentials) {
        throw new EbbError(
          'UNAUTHENTICATED',
          'the Authorization header is neither "Bearer SECRET" nor Basic with the admin user and the secret as password',
        );
      }
      const { user, secret } = credentials;
      const own = digest(secret.normalize('NFC'));
      if (user === admin && isKnown(secret, own)) return ADMIN;
      if (await verify(user, secret, own, remoteAddress)) return ADMIN;
      throw new EbbError('UNAUTHENTICATED', 'the user or the secret is wrong; run `ebb login` with the right secret');
    },
  };
}

function refuseBusy(): EbbError {
  return new EbbError('TOO_MANY_ATTEMPTS', 'too many credentials are being checked at once; try again in 1 s', {
    retryAfterSeconds: 1,
  });
}
