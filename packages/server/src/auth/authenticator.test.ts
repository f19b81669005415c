import { scryptSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { createAuthenticator } from './authenticator.ts';
import { createLocalToken, hashLocalToken } from './local-token.ts';

const SECRET = 'correct horse battery staple';
const SALT = Buffer.alloc(16, 7);
// In the format of hashSecret, at a cost that lets the tests guess often.
const HASH = scryptSync(SECRET, SALT, 32, { N: 16, r: 8, p: 1 });
const adminSecretHash = `scrypt$ln=4,r=8,p=1$${SALT.toString('base64url')}$${HASH.toString('base64url')}`;

function setUp(localTokenHash?: string) {
  let time = 0;
  const clock: Clock = { now: () => 0, monotonic: () => time };
  const options =
    localTokenHash === undefined ? { adminSecretHash, clock } : { adminSecretHash, localTokenHash, clock };
  const authenticator = createAuthenticator(options);
  const authenticate = (header: string | undefined, address: string) => authenticator.authenticate(header, address);
  return { authenticate, pass: (ms: number) => (time += ms) };
}

const bearer = (secret: string): string => `Bearer ${secret}`;
const basic = (user: string, secret: string): string => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
const codesOf = (outcomes: readonly PromiseSettledResult<unknown>[]): readonly unknown[] =>
  outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as { code: unknown }).code : undefined));
const UNAUTHENTICATED = { code: 'UNAUTHENTICATED', status: 401 };
const HELD = { code: 'TOO_MANY_ATTEMPTS', status: 429 };

describe('credentials', () => {
  test.each([
    ['a bearer token', bearer(SECRET)],
    ['a bearer token, scheme in any case', `bEARER ${SECRET}`],
    ['basic, as existing clients of the field send it', basic('admin', SECRET)],
  ])('that are right are let in as %s', async (_what, header) => {
    const { authenticate } = setUp();
    expect(await authenticate(header, '192.0.2.1')).toEqual({ kind: 'admin' });
    expect(await authenticate(header, '192.0.2.1')).toEqual({ kind: 'admin' });
  });

  test.each([
    ['a wrong secret', bearer('wrong')],
    ['a wrong user', basic('root', SECRET)],
    ['a wrong user with the name of a property', basic('__proto__', SECRET)],
    ['a wrong password', basic('admin', 'wrong')],
    ['no secret', 'Bearer '],
    ['an empty password', basic('admin', '')],
    ['no colon', `Basic ${Buffer.from(SECRET).toString('base64')}`],
    ['another scheme', `Digest ${SECRET}`],
    ['no scheme', SECRET.replaceAll(' ', '')],
    ['the hash itself', bearer(adminSecretHash)],
    ['an endless header', bearer('x'.repeat(100_000))],
    ['nothing', undefined],
    ['an empty header', ''],
  ])('that are %s are UNAUTHENTICATED', async (_what, header) => {
    const { authenticate } = setUp();
    await expect(authenticate(header, '192.0.2.1')).rejects.toMatchObject(UNAUTHENTICATED);
  });

  test('are those of the user that a setting names, and of no other', async () => {
    const clock: Clock = { now: () => 0, monotonic: () => 0 };
    const authenticator = createAuthenticator({ adminSecretHash, clock, user: 'operator' });
    const authenticate = (header: string, address: string) => authenticator.authenticate(header, address);
    expect(await authenticate(basic('operator', SECRET), '192.0.2.1')).toEqual({ kind: 'admin' });
    expect(await authenticate(bearer(SECRET), '192.0.2.1')).toEqual({ kind: 'admin' });
    await expect(authenticate(basic('admin', SECRET), '192.0.2.1')).rejects.toMatchObject(UNAUTHENTICATED);
  });

  test('a wrong user stays out even with the secret that was just let in', async () => {
    const { authenticate } = setUp();
    await authenticate(bearer(SECRET), '192.0.2.1');
    await expect(authenticate(basic('root', SECRET), '192.0.2.1')).rejects.toMatchObject(UNAUTHENTICATED);
  });

  test('a wrong user and a wrong secret get the same answer (fault case 48)', async () => {
    const { authenticate } = setUp();
    const words = (header: string) => authenticate(header, '192.0.2.1').catch((error: Error) => error.message);
    expect(await words(basic('root', SECRET))).toBe(await words(basic('admin', 'wrong')));
  });

  test('the local token of this start is let in, one of another start is not', async () => {
    const token = createLocalToken();
    const { authenticate } = setUp(hashLocalToken(token));
    expect(await authenticate(bearer(token), '127.0.0.1')).toEqual({ kind: 'admin' });
    expect(await authenticate(bearer(SECRET), '127.0.0.1')).toEqual({ kind: 'admin' });
    await expect(authenticate(bearer(createLocalToken()), '127.0.0.1')).rejects.toMatchObject(UNAUTHENTICATED);
    await expect(authenticate(bearer(hashLocalToken(token)), '127.0.0.1')).rejects.toMatchObject(UNAUTHENTICATED);
  });
});

describe('guessing (fault case 48)', () => {
  const guess = async ({ authenticate }: ReturnType<typeof setUp>, times: number, address = '192.0.2.1') => {
    for (let n = 0; n < times; n += 1) await authenticate(bearer(`guess ${n}`), address).catch(() => {});
  };

  test('holds the address back after five free failures, right credentials included, and no other address', async () => {
    const auth = setUp();
    await guess(auth, 6);
    await expect(auth.authenticate(bearer(SECRET), '192.0.2.1')).rejects.toMatchObject({
      ...HELD,
      retryAfterSeconds: 1,
    });
    expect(await auth.authenticate(bearer(SECRET), '192.0.2.2')).toEqual({ kind: 'admin' });
    auth.pass(1000);
    expect(await auth.authenticate(bearer(SECRET), '192.0.2.1')).toEqual({ kind: 'admin' });
  });

  test('doubles the hold with each failure up to five minutes', async () => {
    const auth = setUp();
    await guess(auth, 5);
    const holds: (number | undefined)[] = [];
    for (let n = 0; n < 11; n += 1) {
      await guess(auth, 1);
      const error = await auth.authenticate(bearer('x'), '192.0.2.1').catch((cause: unknown) => cause);
      const { retryAfterSeconds = 0 } = error as { retryAfterSeconds?: number };
      holds.push(retryAfterSeconds);
      auth.pass(retryAfterSeconds * 1000);
    }
    expect(holds).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test('cannot outrun the count by sending guesses at once', async () => {
    const auth = setUp();
    const guesses = Array.from({ length: 50 }, (_, n) => auth.authenticate(bearer(`guess ${n}`), '192.0.2.1'));
    const outcomes = await Promise.allSettled(guesses);
    const codes = codesOf(outcomes);
    expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(5);
    expect(codes.filter((code) => code === 'TOO_MANY_ATTEMPTS')).toHaveLength(45);
  });

  test('from many addresses at once is bounded in work, and those refused are not counted as wrong', async () => {
    const auth = setUp();
    const guesses = Array.from({ length: 60 }, (_, n) => auth.authenticate(bearer(`guess ${n}`), `192.0.2.${n}`));
    const outcomes = await Promise.allSettled(guesses);
    const refused = codesOf(outcomes).filter((code) => code === HELD.code);
    expect(refused).toHaveLength(60 - 34);
    expect(await auth.authenticate(bearer(SECRET), '192.0.2.59')).toEqual({ kind: 'admin' });
  });

  test('is not what a burst of first requests with the right secret looks like', async () => {
    const auth = setUp();
    const burst = Array.from({ length: 200 }, () => auth.authenticate(bearer(SECRET), '192.0.2.1'));
    expect(new Set((await Promise.all(burst)).map(({ kind }) => kind))).toEqual(new Set(['admin']));
  });

  test('does not hold back who sends no credentials at all', async () => {
    const auth = setUp();
    for (let n = 0; n < 20; n += 1) {
      await expect(auth.authenticate(undefined, '192.0.2.1')).rejects.toMatchObject(UNAUTHENTICATED);
    }
  });

  test('is forgiven by right credentials', async () => {
    const auth = setUp();
    await guess(auth, 4);
    await auth.authenticate(bearer(SECRET), '192.0.2.1');
    await guess(auth, 5);
    expect(await auth.authenticate(bearer(SECRET), '192.0.2.1')).toEqual({ kind: 'admin' });
  });
});
