import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Candidate, pickEndpoint } from './pick-endpoint.ts';

interface Place extends Candidate {
  readonly name: number;
  accepting: boolean;
  inFlight: number;
}

const places = (loads: readonly number[], capacity: number): Place[] =>
  loads.map((inFlight, name) => ({ name, inFlight, capacity, accepting: true }));
const total = (all: readonly Place[]) => all.reduce((sum, { inFlight }) => sum + inFlight, 0);

/** Numbers from 0 up to 1 that are the same in every run. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('the choice of an instance', () => {
  test('G1: takes one that accepts and has a free slot, if any does, whatever the numbers drawn', () => {
    const one = fc.record({ load: fc.nat({ max: 100 }), accepting: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 60 }),
        fc.constantFrom(1, 2, 100),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        (drawn, capacity, numbers) => {
          const all = drawn.map(({ load, accepting }, name) => ({
            name,
            accepting,
            capacity,
            inFlight: Math.min(load, capacity),
          }));
          const free = all.filter(({ accepting, inFlight }) => accepting && inFlight < capacity);
          const picked = pickEndpoint(all, total(all), () => numbers.next().value ?? 0);
          expect(picked === undefined).toBe(free.length === 0);
          if (picked) expect(free).toContain(picked);
        },
      ),
    );
  });

  test('G1: over any run of calls that come and go and instances that drain, no bound is exceeded', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'come' as const }),
      fc.record({ kind: fc.constant('go' as const), at: fc.nat() }),
      fc.record({ kind: fc.constant('drain' as const), at: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.nat(), (steps, seed) => {
        const random = createRandom(seed);
        const all = places(
          Array.from({ length: 20 }, () => 0),
          100,
        );
        const held: Place[] = [];
        for (const next of steps) {
          if (next.kind === 'come') {
            const picked = pickEndpoint(all, total(all), random);
            if (!picked) continue;
            expect(picked.accepting).toBe(true);
            picked.inFlight += 1;
            expect(picked.inFlight).toBeLessThanOrEqual(picked.capacity);
            held.push(picked);
          } else if (next.kind === 'go') {
            const [gone] = held.splice(next.at % Math.max(1, held.length), 1);
            if (gone) gone.inFlight -= 1;
          } else {
            const place = all[next.at % all.length];
            if (place) place.accepting = false;
          }
        }
      }),
    );
  });

  test('of few instances, or such that take few at once, is the least loaded, ties going to the oldest', () => {
    const never = () => {
      throw new Error('nothing is drawn');
    };
    expect(pickEndpoint(places([3, 1, 2, 1], 1000), 7, never)?.name).toBe(1);
    const many = places(
      Array.from({ length: 50 }, (_value, name) => (name === 40 ? 1 : 2)),
      10,
    );
    expect(pickEndpoint(many, 99, never)?.name).toBe(40);
  });

  test('of two drawn takes the less loaded, and of equals the oldest', () => {
    const all = places(
      Array.from({ length: 20 }, (_value, name) => (name === 7 ? 3 : 5)),
      1000,
    );
    const draws =
      (...numbers: number[]) =>
      () =>
        numbers.shift() ?? 0;
    // The first number names one, the second how far behind it the other is.
    expect(pickEndpoint(all, 98, draws(2 / 20, 4 / 19))?.name).toBe(7);
    expect(pickEndpoint(all, 98, draws(12 / 20, 4 / 19))?.name).toBe(12);
    expect(pickEndpoint(all, 98, draws(19 / 20, 0))?.name).toBe(0);
  });

  test('spreads many calls nearly evenly over many instances', () => {
    const random = createRandom(7);
    const all = places(
      Array.from({ length: 200 }, () => 0),
      1000,
    );
    const held: Place[] = [];
    for (let calls = 0; calls < 20_000; calls += 1) {
      const picked = pickEndpoint(all, held.length, random);
      if (!picked) throw new Error('no slot');
      picked.inFlight += 1;
      held.push(picked);
      if (held.length <= 10_000) continue;
      const [gone] = held.splice(Math.floor(random() * held.length), 1);
      if (gone) gone.inFlight -= 1;
    }
    const loads = all.map(({ inFlight }) => inFlight);
    // 50 each would be even; one drawn at random alone spreads from about 30 to 70.
    expect(Math.min(...loads)).toBeGreaterThanOrEqual(40);
    expect(Math.max(...loads)).toBeLessThanOrEqual(60);
  });

  test('leaves the youngest alone when there is little to do, so that they fall idle', () => {
    const random = createRandom(3);
    const all = places(
      Array.from({ length: 200 }, () => 0),
      1000,
    );
    for (let calls = 0; calls < 5_000; calls += 1) {
      const picked = pickEndpoint(all, 2, random);
      expect(picked?.name).toBeLessThan(20);
    }
  });
});
