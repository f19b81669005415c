import { expect, test } from 'vitest';
import { RolloutWarmth } from './rollout-warmth.ts';

test('who waits for instances goes on with those there are when the time is over, and at once when nobody needs them', async () => {
  const warmth = new RolloutWarmth({ from: 1, to: 2, find: () => undefined, poolOf: () => never() });
  let asked = 0;
  await warmth.wait(100, 60, () => {
    asked += 1;
    return false;
  });
  expect(asked).toBe(3);
  await warmth.wait(100, 600_000, () => true);
});

function never(): never {
  throw new Error('there is no version to have a pool');
}
