import { afterEach, expect, test } from 'vitest';
import { createGatewayHarness, eventually, type GatewayHarness } from '../../../../testing/harness/gateway.ts';
import type { VersionPool } from './version-pool.ts';

let harness: GatewayHarness | undefined;
afterEach(async () => {
  await harness?.[Symbol.asyncDispose]();
  harness = undefined;
});

async function poolOf(options: Partial<Parameters<typeof createGatewayHarness>[0]> = {}): Promise<VersionPool> {
  harness = await createGatewayHarness({ serve: () => (_request, response) => void response.end('ok'), ...options });
  await harness.deploy('hello', { scale: { max: 4, idle: '100ms' } }, { probe: true });
  const pool = harness.pools.all().next().value;
  if (!pool) throw new Error('the deploy made no pool');
  return pool;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 400));

test('instances are kept for calls to come without any call, longer than idle ones are, until that ends', async () => {
  const pool = await poolOf();
  pool.hold(3);
  await eventually(() => pool.ready === 3);
  await settle();
  expect(pool.ready).toBe(3);
  pool.hold(0);
  await eventually(() => pool.ready === 0);
});

test('no more are kept than the version may have, and none of one that is replaced', async () => {
  const pool = await poolOf();
  pool.hold(50);
  await eventually(() => pool.ready === 4);
  await settle();
  expect(pool.size).toBe(4);
  pool.retire();
  expect(pool.held).toBe(0);
  await eventually(() => pool.size === 0);
});

test('starts are counted, and those that fail because of the function, not those the engine could not do', async () => {
  const faults = { crashingStarts: 0, failingCreates: 0 };
  const pool = await poolOf({ faults });
  expect(pool.starts).toEqual({ made: 1, failed: 0 });
  faults.crashingStarts = 1;
  pool.hold(2);
  await eventually(() => pool.ready === 2);
  expect(pool.starts).toEqual({ made: 3, failed: 1 });
  faults.failingCreates = 1;
  pool.hold(3);
  await eventually(() => pool.ready === 3);
  expect(pool.starts).toEqual({ made: 4, failed: 1 });
});
