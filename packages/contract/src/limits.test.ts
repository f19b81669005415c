import { describe, expect, test } from 'vitest';
import { functionSpecSchema, resolveLimits } from './function-spec.ts';
import { namespaceLimitsSchema, parseRate, reservedInstances, resolveRate } from './limits.ts';

const messages = (result: {
  readonly error?:
    | { readonly issues: readonly { readonly path: PropertyKey[]; readonly message: string }[] }
    | undefined;
}) => result.error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);
const spec = (limits: object, more: object = {}) => functionSpecSchema.safeParse({ runtime: 'node', ...more, limits });

describe('a rate', () => {
  test.each([
    [100, 100],
    ['100', 100],
    ['0.5/s', 0.5],
    ['600/m', 10],
    ['3600/h', 1],
  ])('%s is %s a second', (text, perSecond) => expect(parseRate(text)).toBe(perSecond));

  test.each(['', 'fast', '-1', '10/d', '1e3', '10 /s'])('"%s" is none', (text) =>
    expect(parseRate(text)).toBeUndefined(),
  );

  test('has the calls of a second as its burst unless one is given, and at least one', () => {
    expect(resolveRate({ rate: '150/m' })).toEqual({ perSecond: 2.5, burst: 3 });
    expect(resolveRate({ rate: '0.1/s' })).toEqual({ perSecond: 0.1, burst: 1 });
    expect(resolveRate({ rate: 5, burst: 50 })).toEqual({ perSecond: 5, burst: 50 });
    expect(resolveRate({ concurrency: 1 })).toBeUndefined();
  });
});

test('limits that contradict each other or mean nothing are refused by name', () => {
  expect(messages(namespaceLimitsSchema.safeParse({ burst: 5 }))).toEqual(['burst must have "rate" beside it']);
  expect(messages(namespaceLimitsSchema.safeParse({ rate: 0 }))?.[0]).toContain(
    'rate must be a number of calls a second',
  );
  expect(messages(spec({ concurrency: 2, reserved: 3 }))).toEqual([
    'limits.reserved must not be larger than limits.concurrency',
  ]);
  expect(messages(spec({ reserved: 21 }, { concurrency: 2, scale: { max: 10 } }))).toEqual([
    'limits.reserved must not be larger than scale.max × concurrency, which is 20',
  ]);
});

test('reserved calls take as many instances as are meant to bear them', () => {
  const reserved = (limits: object, more: object) =>
    reservedInstances(resolveLimits(functionSpecSchema.parse({ runtime: 'node', limits, ...more })));
  expect(reserved({ reserved: 11 }, { concurrency: 5 })).toBe(3);
  expect(reserved({ reserved: 10 }, { concurrency: 10, scale: { utilization: 0.5 } })).toBe(2);
  expect(reserved({}, {})).toBe(0);
});
