import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LoadWindow } from './windows.ts';

describe('a window of load', () => {
  test('S1: knows nothing before anything was added, and again once all of it is too old', () => {
    const window = new LoadWindow(60_000);
    expect(window.mean(0)).toBeUndefined();
    window.add(5, 1_000, 1_000);
    expect(window.mean(2_000)).toBeCloseTo(5);
    expect(window.mean(70_000)).toBeUndefined();
  });

  test('weighs load by how long it lasted', () => {
    const window = new LoadWindow(60_000);
    window.add(10, 2_000, 2_000);
    window.add(0, 8_000, 10_000);
    expect(window.mean(10_000)).toBeCloseTo(2);
  });

  test('does not take the first call of its life for a flood', () => {
    const window = new LoadWindow(60_000);
    window.add(1_000, 1, 1);
    expect(window.mean(1)).toBeCloseTo(1);
  });

  test('of a steady load says that load, however it is looked at', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1_000, noNaN: true }),
        fc.integer({ min: 1_000, max: 600_000 }),
        fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 5, maxLength: 300 }),
        (load, lengthMs, steps) => {
          const window = new LoadWindow(lengthMs);
          let now = 0;
          for (const step of [2_000, ...steps]) {
            now += step;
            window.add(load, step, now);
          }
          const mean = window.mean(now) ?? 0;
          expect(mean).toBeLessThanOrEqual(load + 1e-6);
          // A window shorter than the steps has known for less than a second.
          if (steps.every((step) => step * 3 < lengthMs)) expect(mean).toBeCloseTo(load, 4);
        },
      ),
    );
  });
});
