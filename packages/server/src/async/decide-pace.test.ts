import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decidePace } from './decide-pace.ts';

const ALONE = { outsidePerSecond: 0, lagMs: 0 };
const ON_TIME = { outsidePerSecond: 2_000, lagMs: 0 };
const LATE = { outsidePerSecond: 2_000, lagMs: 30 };

const after = (start: number, ...facts: readonly Parameters<typeof decidePace>[1][]) => facts.reduce(decidePace, start);

test('without calls from outside nothing is bounded, and soon again after the last of them', () => {
  expect(after(Infinity, ALONE)).toBe(Infinity);
  expect(after(1, ...Array.from({ length: 8 }, () => ALONE))).toBe(Infinity);
});

test('beside calls from outside it is few at once, fewer while the loop is late, more while it is not', () => {
  const first = decidePace(Infinity, LATE);
  expect(first).toBeLessThan(4);
  expect(decidePace(first, LATE)).toBeLessThan(first);
  expect(decidePace(first, ON_TIME)).toBeGreaterThan(first);
});

test('beside few calls from outside more may begin than beside many', () => {
  const paceBeside = (outsidePerSecond: number) =>
    after(Infinity, ...Array.from({ length: 1_000 }, () => ({ outsidePerSecond, lagMs: 0 })));
  expect(paceBeside(10)).toBeGreaterThan(paceBeside(1_000));
  expect(paceBeside(1_000)).toBeGreaterThan(paceBeside(2_000));
});

test('something always begins, and beside calls from outside never without bound', () => {
  const facts = fc.record({
    outsidePerSecond: fc.oneof(fc.constant(0), fc.double({ min: 0.1, max: 100_000, noNaN: true })),
    lagMs: fc.double({ min: -20, max: 10_000, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(facts, { minLength: 1 }), (all) => {
      let pace = Infinity;
      for (const one of all) {
        pace = decidePace(pace, one);
        expect(pace).toBeGreaterThan(0);
        if (one.outsidePerSecond > 0) expect(pace).toBeLessThanOrEqual(40);
        if (one.outsidePerSecond >= 2_000) expect(pace).toBeLessThanOrEqual(4);
      }
    }),
  );
});
