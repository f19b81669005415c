import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideShares, type HostAmount, type ShareClaim, type ShareRules } from './decide-share.ts';

const claim = (fields: Partial<ShareClaim>): ShareClaim => ({
  namespace: 'n',
  name: 'f',
  wants: 0,
  used: 0,
  holds: 0,
  bytes: 1,
  turn: 0,
  ...fields,
});
const rules = (instances: number, more: Partial<ShareRules> = {}): ShareRules => ({
  capacity: { instances, bytes: Number.POSITIVE_INFINITY },
  functions: [],
  namespaces: new Map(),
  ...more,
});

describe('shares', () => {
  test('are equal between namespaces, however many functions each has', () => {
    const flood = ['a', 'b', 'c'].map((name) => claim({ namespace: 'loud', name, wants: 100 }));
    const shares = decideShares([...flood, claim({ namespace: 'quiet', wants: 100 })], rules(12));
    expect(shares).toEqual([2, 2, 2, 6]);
  });

  test('leave what somebody does not want to the others', () => {
    expect(
      decideShares([claim({ namespace: 'a', wants: 100 }), claim({ namespace: 'b', wants: 2 })], rules(10)),
    ).toEqual([8, 2]);
  });

  test('give the odd one to who holds it already, so that nobody is stopped for nothing', () => {
    const two = [claim({ namespace: 'a', wants: 9, holds: 3 }), claim({ namespace: 'b', wants: 9, holds: 4 })];
    expect(decideShares(two, rules(7))).toEqual([3, 4]);
  });

  test('let those wait who came last where there is not one for each', () => {
    const three = [5, 1, 3].map((turn, index) => claim({ namespace: `n${index}`, wants: 1, turn }));
    expect(decideShares(three, rules(2))).toEqual([0, 1, 1]);
  });

  test('protect what was at work a moment ago from who has more, but not from who has nothing', () => {
    const recent = claim({ namespace: 'quiet', used: 1, holds: 1 });
    expect(decideShares([recent, claim({ namespace: 'loud', wants: 9, holds: 3 })], rules(4))).toEqual([1, 3]);
    expect(decideShares([recent, claim({ namespace: 'new', wants: 1 })], rules(1))).toEqual([0, 1]);
  });

  test('leave over what is reserved, and count it first', () => {
    const kept = [{ namespace: 'a', name: 'kept', instances: 3, bytes: 1 }];
    const flood = claim({ namespace: 'b', wants: 100 });
    expect(decideShares([flood], rules(10, { functions: kept }))).toEqual([7]);
    const own = claim({ namespace: 'a', name: 'kept', wants: 5 });
    const other = claim({ namespace: 'a', name: 'other', wants: 100 });
    expect(decideShares([flood, own, other], rules(4, { functions: kept }))).toEqual([1, 3, 0]);
    expect(decideShares([flood], rules(10, { namespaces: new Map([['a', 0.5]]) }))).toEqual([5]);
  });

  test('let an instance that is larger than all memory run alone', () => {
    const capacity = { instances: 5, bytes: 10 };
    expect(decideShares([claim({ wants: 2, bytes: 20 })], rules(5, { capacity }))).toEqual([1]);
  });
});

const claims = (bytes: fc.Arbitrary<number>) =>
  fc.array(
    fc.record({
      namespace: fc.constantFrom('a', 'b', 'c'),
      name: fc.constantFrom('f', 'g', 'h'),
      wants: fc.nat(12),
      used: fc.nat(12),
      holds: fc.nat(12),
      bytes,
      turn: fc.integer({ min: -5, max: 5 }),
    }),
    { maxLength: 8 },
  );
const reserved = fc.array(
  fc.record({
    namespace: fc.constantFrom('a', 'b', 'd'),
    name: fc.constantFrom('f', 'g'),
    instances: fc.nat(4),
    bytes: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 3 },
);
const demand = ({ wants, used }: ShareClaim) => Math.max(wants, used);
const sum = (amounts: Iterable<number>) => [...amounts].reduce((total, amount) => total + amount, 0);

/** By namespace: what it has and what it would have. */
function byNamespace(all: readonly ShareClaim[], shares: readonly number[]) {
  const found = new Map<string, { has: number; wants: number }>();
  for (const [index, one] of all.entries()) {
    const entry = found.get(one.namespace) ?? { has: 0, wants: 0 };
    found.set(one.namespace, { has: entry.has + (shares[index] ?? 0), wants: entry.wants + demand(one) });
  }
  return [...found.values()];
}

test('shares are never above the bounds, nor above what is wanted, whatever is reserved', () => {
  const capacity: fc.Arbitrary<HostAmount> = fc.record({
    instances: fc.integer({ min: 1, max: 20 }),
    bytes: fc.integer({ min: 3, max: 40 }),
  });
  const shared = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom(0.25, 0.5));
  fc.assert(
    fc.property(claims(fc.integer({ min: 1, max: 3 })), capacity, reserved, shared, (all, bound, functions, parts) => {
      const shares = decideShares(all, { capacity: bound, functions, namespaces: new Map(Object.entries(parts)) });
      expect(sum(shares)).toBeLessThanOrEqual(bound.instances);
      expect(sum(shares.map((share, index) => share * (all[index]?.bytes ?? 0)))).toBeLessThanOrEqual(bound.bytes);
      for (const [index, one] of all.entries()) expect(shares[index]).toBeLessThanOrEqual(demand(one));
    }),
  );
});

test('nothing is left over while somebody wants more', () => {
  fc.assert(
    fc.property(claims(fc.constant(1)), fc.integer({ min: 1, max: 30 }), (all, instances) => {
      const shares = decideShares(all, rules(instances));
      expect(sum(shares)).toBe(Math.min(instances, sum(all.map(demand))));
    }),
  );
});

test('S5: no namespace is below what it wants and its fair share while another is above its own; nor is a function in it', () => {
  fc.assert(
    fc.property(claims(fc.constant(1)), fc.integer({ min: 1, max: 30 }), (all, instances) => {
      const shares = decideShares(all, rules(instances));
      const namespaces = byNamespace(all, shares);
      for (const short of namespaces.filter(({ has, wants }) => has < wants)) {
        for (const other of namespaces) expect(other.has).toBeLessThanOrEqual(short.has + 1);
      }
      for (const namespace of ['a', 'b', 'c']) {
        const own = all.map((one, index) => ({
          ...one,
          namespace: one.name,
          has: shares[index] ?? 0,
          home: one.namespace,
        }));
        const here = own.filter(({ home }) => home === namespace);
        const functions = byNamespace(
          here,
          here.map(({ has }) => has),
        );
        for (const short of functions.filter(({ has, wants }) => has < wants)) {
          for (const other of functions) expect(other.has).toBeLessThanOrEqual(short.has + 1);
        }
      }
    }),
  );
});

test('who has something reserved gets it, whatever others want', () => {
  fc.assert(
    fc.property(claims(fc.constant(1)), fc.integer({ min: 1, max: 8 }), fc.nat(12), (all, instances, wants) => {
      const functions = [{ namespace: 'kept', name: 'f', instances, bytes: 1 }];
      const own = claim({ namespace: 'kept', wants });
      const shares = decideShares([...all, own], rules(8, { functions }));
      expect(shares.at(-1)).toBeGreaterThanOrEqual(Math.min(wants, instances));
      expect(sum(shares.slice(0, -1))).toBeLessThanOrEqual(8 - instances);
    }),
  );
});

test('nobody starves: with turns as the host takes them, everybody who wants one has one in the end', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }), (instances, count) => {
      const since = Array.from({ length: count }, (_, index) => index);
      const holds = since.map(() => 0);
      const served = new Set<number>();
      for (let now = count; now < count + 3 * count; now += 1) {
        const all = since.map((at, index) =>
          claim({
            namespace: `n${index}`,
            wants: 1,
            holds: holds[index] ?? 0,
            turn: holds[index] === 1 ? 1e6 + now - at : at,
          }),
        );
        for (const [index, share] of decideShares(all, rules(instances)).entries()) {
          if (share === 1) served.add(index);
          if (share !== holds[index]) since[index] = now;
          holds[index] = share;
        }
      }
      expect(served.size).toBe(count);
    }),
  );
});
