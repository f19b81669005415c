import { expect, test } from 'vitest';
import { failuresOf } from '../soak/describe-soak.ts';
import { runRolloutSoak } from '../soak/run-rollout-soak.ts';

test('V2: no call fails or changes its version while versions are deployed, rolled back and weighted and a successor takes over', async () => {
  const result = await runRolloutSoak({
    engine: 'process',
    gateways: 0,
    durationMs: 12_000,
    requestsPerSecond: 100,
    longMs: 3_000,
    changeEveryMs: 4_000,
    takeover: true,
  });
  expect(failuresOf(result)).toEqual([]);
  expect(result.deploys).toBeGreaterThan(0);
  expect(result.rollbacks).toBeGreaterThan(0);
  expect(result.weightChanges).toBeGreaterThan(0);
  expect(result.takeovers).toBe(1);
  expect(result.calls.length).toBeGreaterThan(1_000);
});
