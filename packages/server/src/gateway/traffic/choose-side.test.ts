import { aliasSpecSchema, type AliasSpecInput, sharesOf } from '@ebb/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CallFacts, createPick, createSides } from './choose-side.ts';
import { rendezvous } from './rendezvous.ts';

const facts = (...rawHeaders: string[]): CallFacts => ({ rawHeaders, remoteAddress: '192.0.2.1' });
const from = (remoteAddress: string): CallFacts => ({ rawHeaders: [], remoteAddress });

/** Sides of an alias; ids are drawn in a row. */
function sidesOf(spec: AliasSpecInput, salt = 'hello.team') {
  let drawn = 0;
  const sides = createSides({ spec: aliasSpecSchema.parse(spec), salt, draw: () => `id-${(drawn += 1)}` });
  if (!sides) throw new Error('the weights do not add up');
  return sides;
}
const counted = (versions: readonly number[]) => {
  const counts: Record<number, number> = {};
  for (const version of versions) counts[version] = (counts[version] ?? 0) + 1;
  return counts;
};
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** Weights of up to five versions, in hundredths of a percent. */
const splits = fc
  .array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 4 })
  .map((cuts) => [0, ...cuts.toSorted((left, right) => left - right), 10_000])
  .map((cuts) => Object.fromEntries(cuts.slice(1).map((cut, i) => [i + 1, (cut - (cuts[i] ?? 0)) / 100])));

describe('weights', () => {
  test('of 10,000 calls each version gets its weight exactly, whatever the weights', () => {
    fc.assert(
      fc.property(splits, (versions) => {
        const sides = sidesOf({ versions });
        const counts = counted(times(10_000, () => sides(facts()).version));
        const wanted = Object.entries(versions).filter(([, weight]) => weight > 0);
        expect(counts).toEqual(
          Object.fromEntries(wanted.map(([version, weight]) => [version, Math.round(weight * 100)])),
        );
      }),
      { numRuns: 30 },
    );
  });

  test('weights that do not add up are no choice', () => {
    const spec = aliasSpecSchema.parse({ versions: { 1: 50 } });
    expect(createSides({ spec, salt: '', draw: () => '' })).toBeUndefined();
  });
});

describe('one client stays on one side', () => {
  test('each side has its share of many clients', () => {
    const shares = sharesOf({ 1: 70, 2: 25, 3: 5 }) ?? [];
    const counts = counted(times(50_000, (i) => rendezvous(`client-${i}`, shares)));
    for (const [index, share] of [0.7, 0.25, 0.05].entries()) {
      expect(Math.abs((counts[index] ?? 0) / 50_000 - share)).toBeLessThan(0.01);
    }
  });

  test('when weights change, clients move only to versions that gained more than those they leave, and none stays at 0', () => {
    fc.assert(
      fc.property(splits, splits, (before, after) => {
        const [old, now] = [sharesOf(before) ?? [], sharesOf(after) ?? []];
        const shareIn = (shares: typeof old, version: number) =>
          shares.find((one) => one.version === version)?.share ?? 0;
        const growth = (version: number) => shareIn(now, version) / Math.max(shareIn(old, version), 1e-9);
        for (let i = 0; i < 500; i += 1) {
          const key = `client-${i}`;
          const left = old[rendezvous(key, old)]?.version ?? 0;
          const came = now[rendezvous(key, now)]?.version ?? 0;
          expect(shareIn(now, came)).toBeGreaterThan(0);
          if (left !== came) expect(growth(came)).toBeGreaterThanOrEqual(growth(left));
        }
      }),
      { numRuns: 50 },
    );
  });

  test('of two versions, a change of weights moves as many clients as the weights moved', () => {
    const percents = fc.integer({ min: 1, max: 99 });
    fc.assert(
      fc.property(percents, percents, (before, after) => {
        const [old, now] = [before, after].map((weight) => sharesOf({ 1: weight, 2: 100 - weight }) ?? []);
        const keys = times(2_000, (i) => `client-${i}`);
        const moved = keys.filter((key) => rendezvous(key, old ?? []) !== rendezvous(key, now ?? [])).length;
        expect(Math.abs(moved / 2_000 - Math.abs(after - before) / 100)).toBeLessThan(0.06);
      }),
      { numRuns: 30 },
    );
  });

  test('a new client gets its side by turn and an id that brings it back there, even where a side is rare', () => {
    const sides = sidesOf({ versions: { 1: 99.9, 2: 0.1 }, sticky: { by: 'cookie' } });
    const clients = times(2_000, () => sides(facts('Accept', '*/*')));
    expect(counted(clients.map(({ version }) => version))).toEqual({ 1: 1_998, 2: 2 });
    for (const { version, newId } of clients) {
      const again = sides(facts('cookie', `a=b; ebb-side=${newId}; c=d`));
      expect(again).toEqual({ version, isMatched: false });
    }
  });

  test('an id nobody of us can have given makes a new client', () => {
    const sides = sidesOf({ versions: { 1: 50, 2: 50 }, sticky: { by: 'cookie', name: 'mine' } });
    expect(sides(facts('Cookie', 'mine=x y')).newId).toMatch(/^id-1/);
    expect(sides(facts('Cookie', `mine=${'x'.repeat(65)}`)).newId).toMatch(/^id-2/);
    expect(sides(facts('Cookie', 'mine=abc')).newId).toBeUndefined();
  });

  test('by header: equal values go to equal sides; calls without one take turns', () => {
    const sides = sidesOf({ versions: { 1: 50, 2: 50 }, sticky: { by: 'header', name: 'X-Tenant' } });
    for (let i = 0; i < 100; i += 1) {
      const [one, other] = [sides(facts('x-tenant', `t-${i}`)), sides(facts('X-TENANT', `t-${i}`))];
      expect(one).toEqual(other);
    }
    expect(counted(times(10, () => sides(facts()).version))).toEqual({ 1: 5, 2: 5 });
  });

  test('by address: a client stays; many are spread, and differently for each function', () => {
    const spec: AliasSpecInput = { versions: { 1: 50, 2: 50 }, sticky: { by: 'client' } };
    const [one, other] = [sidesOf(spec, 'one.team'), sidesOf(spec, 'other.team')];
    const addresses = times(400, (i) => `10.0.${i >> 4}.${i & 15}`);
    const mine = addresses.map((address) => one(from(address)).version);
    expect(addresses.map((address) => one(from(address)).version)).toEqual(mine);
    expect(Math.abs((counted(mine)[1] ?? 0) - 200)).toBeLessThan(60);
    const same = addresses.filter((address, i) => other(from(address)).version === mine[i]).length;
    expect(Math.abs(same - 200)).toBeLessThan(60);
  });
});

describe('rules for testers', () => {
  const sides = sidesOf({
    versions: { 1: 100 },
    match: [
      { header: 'X-Tester', value: 'yes', version: 3 },
      { cookie: 'beta', version: 2 },
      { cookie: 'group', value: 'b', version: 4 },
    ],
  });

  test.each([
    [['x-tester', 'yes'], 3],
    [['X-Tester', 'no'], 1],
    [['X-Tester', 'no', 'X-Tester', 'yes'], 3],
    [['Cookie', 'beta'], 1],
    [['Cookie', 'beta='], 2],
    [['Cookie', 'a=1; beta=x', 'X-Tester', 'yes'], 3],
    [['Cookie', 'group="b"'], 4],
    [['Cookie', 'group=a'], 1],
    [['Cookie', 'xbeta=1'], 1],
    [[], 1],
  ])('%j goes to version %i', (headers, version) => {
    expect(sides(facts(...headers))).toEqual({ version, isMatched: version !== 1 });
  });

  test('take no turn from the others', () => {
    const split = sidesOf({ versions: { 1: 50, 2: 50 }, match: [{ header: 'x', version: 2 }] });
    const versions = times(40, (i) => split(i % 2 === 0 ? facts() : facts('x', '1')).version);
    expect(counted(versions.filter((_, i) => i % 2 === 0))).toEqual({ 1: 10, 2: 10 });
    expect(counted(versions.filter((_, i) => i % 2 === 1))).toEqual({ 2: 20 });
  });
});

test.each([0, 0.01, 25, 100])('%d percent of the calls are picked, exactly', (percent) => {
  const isPicked = createPick(percent);
  expect(times(10_000, isPicked).filter(Boolean)).toHaveLength(percent * 100);
});
