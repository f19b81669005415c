import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideRetention } from './decide-retention.ts';

const made = (...versions: number[]) => versions.map((version) => ({ version, createdAt: version * 10 }));

test('versions that are needed and the newest others stay, the oldest go', () => {
  expect(decideRetention(made(1, 2, 3, 4, 5), new Set([5]), { kept: 2 }, 50)).toEqual([2, 1]);
  expect(decideRetention(made(1, 2, 3, 4, 5), new Set([1, 5]), { kept: 2 }, 50)).toEqual([2]);
  expect(decideRetention(made(1), new Set([1]), { kept: 0 }, 50)).toEqual([]);
});

test('those made too long ago go, however few there are', () => {
  expect(decideRetention(made(1, 2, 3), new Set([3]), { kept: 50, maxAgeMs: 30 }, 50)).toEqual([1]);
  expect(decideRetention(made(1, 2, 3), new Set([1]), { kept: 1, maxAgeMs: 30 }, 500)).toEqual([3, 2]);
});

const stored = fc
  .uniqueArray(fc.record({ version: fc.integer({ min: 1, max: 200 }), createdAt: fc.nat(10_000) }), {
    minLength: 1,
    selector: ({ version }) => version,
  })
  .chain((versions) =>
    fc.record({
      versions: fc.constant(versions),
      needed: fc.subarray(versions.map(({ version }) => version)).map((numbers) => new Set(numbers)),
      kept: fc.nat(60),
      maxAgeMs: fc.option(fc.nat(10_000), { nil: undefined }),
      now: fc.nat(20_000),
    }),
  );

test('never drops one that is needed, nor a young one among the newest, and keeps no more than the rule says', () => {
  fc.assert(
    fc.property(stored, ({ versions, needed, kept, maxAgeMs, now }) => {
      const dropped = new Set(decideRetention(versions, needed, { kept, maxAgeMs }, now));
      const isOld = ({ createdAt }: { createdAt: number }) => maxAgeMs !== undefined && now - createdAt > maxAgeMs;
      const others = versions.filter(({ version }) => !needed.has(version));
      const left = others.filter(({ version }) => !dropped.has(version));
      expect([...dropped].filter((version) => needed.has(version))).toEqual([]);
      expect(left.length).toBeLessThanOrEqual(kept);
      expect(left.filter(isOld)).toEqual([]);
      for (const one of others) {
        const newer = others.filter(({ version }) => version > one.version).length;
        if (!isOld(one) && newer < kept) expect(dropped.has(one.version)).toBe(false);
      }
    }),
  );
});

test('drops nothing more when it is asked again', () => {
  fc.assert(
    fc.property(stored, ({ versions, needed, kept, maxAgeMs, now }) => {
      const dropped = new Set(decideRetention(versions, needed, { kept, maxAgeMs }, now));
      const left = versions.filter(({ version }) => !dropped.has(version));
      expect(decideRetention(left, needed, { kept, maxAgeMs }, now)).toEqual([]);
    }),
  );
});
