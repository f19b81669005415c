import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '../../../../testing/harness/gateway.ts';
import { systemClock } from '../core/clock.ts';
import { createPace } from './pace.ts';

test('attempts begin without bound while nobody calls from outside, and few at a time while somebody does', async () => {
  let outside = 0;
  using pace = createPace({ outside: () => outside, clock: systemClock });
  expect(pace.allowance).toBe(Infinity);
  const calling = setInterval(() => (outside += 1), 5);
  await eventually(() => pace.allowance < 50);
  pace.spend(10);
  expect(pace.allowance).toBe(0);
  // What was spent comes back with time.
  await eventually(() => pace.allowance > 0);
  clearInterval(calling);
  await eventually(() => pace.allowance === Infinity);
});

test('the first call from outside ends the time without bound at once', () => {
  let outside = 0;
  using pace = createPace({ outside: () => outside, clock: systemClock });
  expect(pace.allowance).toBe(Infinity);
  expect(pace.apartMs).toBe(0);
  outside += 1;
  expect(pace.allowance).toBeLessThan(10);
  expect(pace.apartMs).toBeGreaterThan(0);
});

test('calls that came while no attempt wanted to begin bound nothing', async () => {
  let outside = 0;
  using pace = createPace({ outside: () => outside, clock: systemClock });
  outside = 1_000;
  expect(pace.allowance).toBe(Infinity);
  await sleep(50);
  expect(pace.allowance).toBe(Infinity);
});
