import type { RequestListener } from 'node:http';
import { functionSpecSchema } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually } from '../../../../testing/harness/gateway.ts';

const NS = 'openfaas-fn';

/** Instances that answer with their version, and hold calls to `/held` until they are let go. */
function createServing() {
  const held = Promise.withResolvers<void>();
  const serve = ({ env }: { readonly env: Readonly<Record<string, string>> }): RequestListener => {
    return (request, response) => {
      if (request.url !== '/held') response.end(env['V']);
      else void held.promise.then(() => response.end(env['V']));
    };
  };
  return { serve, letGo: held.resolve };
}

const ask = async (url: string, rest = ''): Promise<string> => (await fetch(`${url}/function/f${rest}`)).text();

describe('a rollback', () => {
  test('to a version that still drains: it serves again, and a call that it held all along ends on it (V2, S2)', async () => {
    const { serve, letGo } = createServing();
    await using harness = await createGatewayHarness({ serve });
    const { registry, pools, url } = harness;
    await harness.deploy('f', { env: { V: '1' } }, { probe: true });
    const long = ask(url, '/held');
    await eventually(() => pools.find(`${NS}/f@1`)?.inFlight === 1);
    await harness.deploy('f', { env: { V: '2' } }, { probe: true });
    expect(await ask(url)).toBe('2');
    expect(pools.find(`${NS}/f@1`)?.retiring).toBe(true);
    await registry.rollback(NS, 'f');
    expect([await ask(url), pools.find(`${NS}/f@1`)?.retiring]).toEqual(['1', false]);
    letGo();
    expect(await long).toBe('1');
    expect(await ask(url)).toBe('1');
    await eventually(() => pools.find(`${NS}/f@2`) === undefined);
    // It was never stopped, so nothing was started for it again.
    expect(harness.engine.createCount()).toBe(2);
  });

  test('to a version with no instance left starts one for the first call', async () => {
    const { serve } = createServing();
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f', { env: { V: '1' } }, { probe: true });
    await harness.deploy('f', { env: { V: '2' } }, { probe: true });
    await eventually(() => harness.pools.find(`${NS}/f@1`) === undefined);
    await harness.registry.rollback(NS, 'f');
    expect(await ask(harness.url)).toBe('1');
  });

  test('and forward again in turns under calls loses none of them', async () => {
    const { serve } = createServing();
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('f', { env: { V: '1' } }, { probe: true });
    await harness.deploy('f', { env: { V: '2' } }, { probe: true });
    const statuses = new Map<number, number>();
    const until = performance.now() + 400;
    const caller = async () => {
      while (performance.now() < until) {
        const { status } = await fetch(`${harness.url}/function/f`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    const turning = async () => {
      while (performance.now() < until) {
        await harness.registry.rollback(NS, 'f');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all([caller(), caller(), caller(), turning()]);
    expect([...statuses.keys()]).toEqual([200]);
  });
});

test('a version that is stored only keeps the instance it was proved by, and serves with it when an alias comes', async () => {
  const { serve } = createServing();
  await using harness = await createGatewayHarness({ serve });
  const { registry, pools, url } = harness;
  await harness.deploy('f', { env: { V: '1' } }, { probe: true });
  const { live } = await registry
    .put(
      {
        namespace: NS,
        name: 'f',
        spec: functionSpecSchema.parse({ runtime: 'node', env: { V: '2' } }),
        code: `sha256:${'0'.repeat(64)}`,
      },
      { probe: true, serve: false },
    )
    .then(({ record }) => record);
  expect([live.version, pools.isRunning(`${NS}/f@2`), await ask(url)]).toEqual([1, true, '1']);
  await registry.rollback(NS, 'f', 2);
  expect([await ask(url), harness.engine.createCount()]).toEqual(['2', 2]);
});
