import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideAdmit, exceeds } from './decide-admit.ts';

test('a function’s own limit comes before its namespace’s', () => {
  const full = { concurrency: 1, others: [{ calls: 1, reserved: 0 }] };
  expect(decideAdmit({ calls: 2, concurrency: 2, reserved: 0 }, full)).toBe('function');
  expect(decideAdmit({ calls: 1, concurrency: 2, reserved: 0 }, full)).toBe('namespace');
  expect(decideAdmit({ calls: 1, concurrency: 2, reserved: 0 }, { others: [] })).toBe('admit');
});

test('others cannot use what a function has reserved', () => {
  const namespace = { concurrency: 5, others: [{ calls: 0, reserved: 2 }] };
  expect(decideAdmit({ calls: 2, reserved: 0 }, namespace)).toBe('admit');
  expect(decideAdmit({ calls: 3, reserved: 0 }, namespace)).toBe('namespace');
});

interface One {
  calls: number;
  readonly concurrency?: number | undefined;
  readonly reserved: number;
}

const functions = fc.array(
  fc.record({
    calls: fc.constant(0),
    concurrency: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    reserved: fc.nat(3),
  }),
  { minLength: 1, maxLength: 5 },
);

test('S4: no limit is ever exceeded, and while the reserved calls fit, every function gets its own', () => {
  const steps = fc.array(fc.record({ of: fc.nat(4), isCall: fc.boolean() }), { maxLength: 80 });
  fc.assert(
    fc.property(
      functions,
      fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
      steps,
      (all, concurrency, moves) => {
        const limited = all.map((one): One => ({ ...one, reserved: Math.min(one.reserved, one.concurrency ?? 3) }));
        const doFit =
          limited.reduce((sum, { reserved }) => sum + reserved, 0) <= (concurrency ?? Number.POSITIVE_INFINITY);
        for (const { of, isCall } of moves) {
          const own = limited[of % limited.length];
          if (!own) continue;
          const others = limited.filter((one) => one !== own);
          if (!isCall) own.calls = Math.max(0, own.calls - 1);
          else {
            const verdict = decideAdmit(own, { concurrency, others });
            if (doFit && own.calls < own.reserved) expect(verdict).toBe('admit');
            if (verdict === 'admit') own.calls += 1;
          }
          expect(own.calls).toBeLessThanOrEqual(own.concurrency ?? Number.POSITIVE_INFINITY);
          const running = limited.reduce((sum, { calls }) => sum + calls, 0);
          expect(running).toBeLessThanOrEqual(concurrency ?? Number.POSITIVE_INFINITY);
          if (doFit) expect(exceeds(own, { concurrency, others })).toBe(false);
        }
      },
    ),
  );
});

test('a limit that was lowered is exceeded until enough calls have ended', () => {
  expect(exceeds({ calls: 3, concurrency: 2, reserved: 0 }, { others: [] })).toBe(true);
  expect(exceeds({ calls: 2, concurrency: 2, reserved: 0 }, { others: [] })).toBe(false);
  expect(exceeds({ calls: 3, reserved: 0 }, { concurrency: 4, others: [{ calls: 2, reserved: 0 }] })).toBe(true);
  // Somebody else has reserved what it uses.
  expect(exceeds({ calls: 3, reserved: 0 }, { concurrency: 4, others: [{ calls: 1, reserved: 2 }] })).toBe(true);
  expect(exceeds({ calls: 1, reserved: 2 }, { concurrency: 4, others: [{ calls: 3, reserved: 0 }] })).toBe(false);
});
