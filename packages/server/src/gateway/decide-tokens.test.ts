import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Bucket, decideTokens, putBack } from './decide-tokens.ts';

const limit = { perSecond: 10, burst: 3 };

test('a bucket begins full, is then empty, and says when there is a token again', () => {
  const first = decideTokens(undefined, limit, 4, 0);
  expect([first.granted, first.retryAfterMs]).toEqual([3, 100]);
  const later = decideTokens(first.bucket, limit, 1, 40);
  expect([later.granted, later.retryAfterMs]).toEqual([0, 60]);
  expect(decideTokens(later.bucket, limit, 1, 100).granted).toBe(1);
});

test('it never has more than its burst, and what is put back is there again', () => {
  const { bucket } = decideTokens(undefined, limit, 2, 0);
  expect(decideTokens(putBack(bucket, limit, 1, 0), limit, 9, 0).granted).toBe(2);
  expect(decideTokens(putBack(bucket, limit, 9, 0), limit, 9, 0).granted).toBe(3);
  expect(decideTokens(bucket, limit, 9, 1e9).granted).toBe(3);
});

const moments = fc.array(fc.record({ afterMs: fc.nat(2000), asked: fc.integer({ min: 1, max: 20 }) }), {
  maxLength: 40,
});
const limits = fc.record({ perSecond: fc.constantFrom(0.1, 1, 7, 100, 1000), burst: fc.integer({ min: 1, max: 50 }) });

test('in no time of t seconds more than burst + rate × t pass, and no fewer where as many are asked for all the time', () => {
  fc.assert(
    fc.property(moments, limits, (steps, rate) => {
      let bucket: Bucket | undefined;
      let now = 0;
      const grants: { readonly at: number; readonly granted: number }[] = [];
      for (const { afterMs, asked } of steps) {
        now += afterMs;
        const drawn = decideTokens(bucket, rate, asked, now);
        bucket = drawn.bucket;
        grants.push({ at: now, granted: drawn.granted });
      }
      for (const [index, from] of grants.entries()) {
        let total = 0;
        for (const { at, granted } of grants.slice(index)) {
          total += granted;
          expect(total).toBeLessThanOrEqual(rate.burst + (rate.perSecond * (at - from.at)) / 1000 + 1e-6);
        }
      }
    }),
  );
});

test('who comes again when told to, and not before, passes', () => {
  fc.assert(
    fc.property(moments, limits, (steps, rate) => {
      let bucket: Bucket | undefined;
      let now = 0;
      for (const { afterMs, asked } of steps) {
        now += afterMs;
        const drawn = decideTokens(bucket, rate, asked, now);
        bucket = drawn.bucket;
        if (drawn.granted === asked) continue;
        expect(decideTokens(bucket, rate, 1, now + drawn.retryAfterMs).granted).toBe(1);
        expect(decideTokens(bucket, rate, 1, now + drawn.retryAfterMs - 2).granted).toBe(0);
      }
    }),
  );
});
