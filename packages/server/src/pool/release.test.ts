import type { RequestListener } from 'node:http';
import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, type GatewayHarness } from '../../../../testing/harness/gateway.ts';
import { createMemoryHost } from '../engines/memory/memory-engine.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';

const BOUNDS = {
  maxInstances: 100,
  maxConcurrentStarts: 4,
  memoryBudgetBytes: undefined,
  poolSize: 0,
  maxFrozenBytes: 1,
};

/** Answers `/hold` when it is let go, everything else at once. */
function createHolder() {
  const held: (() => void)[] = [];
  const listener: RequestListener = (request, response) => {
    if (request.url === '/hold') held.push(() => response.end('held'));
    else response.end('ok');
  };
  return { held, serve: () => listener };
}

function idsOf(harness: GatewayHarness): string[] {
  return harness.pools
    .list(DEFAULT_NAMESPACE, 'f')
    .map(({ id }) => id)
    .toSorted();
}

describe('a server whose instances another one takes over', () => {
  test('S2: gives up at once those without a call and the others when theirs have ended; none is ever of both, none is stopped', async () => {
    const [host, store, holder] = [createMemoryHost(), createMemoryKeyValue(), createHolder()];
    const common = { host, store, serve: holder.serve };
    await using old = await createGatewayHarness(common);
    await old.deploy('f', { concurrency: 1, scale: { min: 2 } });
    await eventually(() => idsOf(old).length === 2);
    const all = idsOf(old);
    const held = fetch(`${old.url}/function/f/hold`);
    await eventually(() => holder.held.length === 1);
    await old.pools.pause();
    await using next = await createGatewayHarness({
      ...common,
      heldElsewhere: () => Promise.resolve(new Set(old.pools.held())),
    });
    // It has its minimum of its own until it gets those of the other.
    expect(idsOf(next).filter((id) => all.includes(id))).toEqual([]);

    old.pools.release(() => next.pools.wantReconcile());
    await eventually(() => idsOf(next).filter((id) => all.includes(id)).length === 1);
    expect(idsOf(old)).toHaveLength(1);
    expect(idsOf(next)).not.toContain(idsOf(old)[0]);

    holder.held[0]?.();
    expect(await (await held).text()).toBe('held');
    await eventually(() => all.every((id) => idsOf(next).includes(id)));
    expect(idsOf(old)).toEqual([]);
    expect(old.pools.held()).toEqual([]);
  });

  test('S1, E1: that does not answer keeps whatever may be its own, and its successor puts its own right', async () => {
    const [host, store] = [createMemoryHost(), createMemoryKeyValue()];
    const common = { host, store, serve: createHolder().serve };
    await using old = await createGatewayHarness(common);
    await old.deploy('f', { concurrency: 1, scale: { min: 1 } });
    await eventually(() => idsOf(old).length === 1);
    await old.pools.pause();
    const said: { held?: ReadonlySet<string> } = {};
    await using next = await createGatewayHarness({ ...common, heldElsewhere: () => Promise.resolve(said.held) });
    await eventually(() => idsOf(next).length === 1);
    const [theirs, own] = [idsOf(old)[0] ?? '', idsOf(next)[0] ?? ''];
    expect(own).not.toBe(theirs);
    await next.pools.reconcile();
    expect(idsOf(next)).toEqual([own]);
    expect((await next.engine.list()).map(({ id }) => id)).toContain(theirs);
    // What it says at last holds.
    said.held = new Set();
    old.pools.release(() => {});
    await next.pools.reconcile();
    expect(idsOf(next)).toContain(theirs);
  });

  test('serves those who wait in its line before it gives the instance up, and a call that comes late', async () => {
    const holder = createHolder();
    await using old = await createGatewayHarness({ serve: holder.serve });
    await old.deploy('f', { concurrency: 1, scale: { max: 1 } });
    const first = fetch(`${old.url}/function/f/hold`);
    await eventually(() => holder.held.length === 1);
    const second = fetch(`${old.url}/function/f`);
    await eventually(() => (old.pools.find(`${DEFAULT_NAMESPACE}/f@1`)?.waiting ?? 0) === 1);
    await old.pools.pause();
    let released = 0;
    old.pools.release(() => (released += 1));
    holder.held[0]?.();
    expect((await first).status).toBe(200);
    expect(await (await second).text()).toBe('ok');
    await eventually(() => released === 1);
    expect((await fetch(`${old.url}/function/f`)).status).toBe(200);
    await eventually(() => old.pools.held().length === 0);
  });

  test('goes on with what it has when the other one fails', async () => {
    const holder = createHolder();
    await using old = await createGatewayHarness({ serve: holder.serve, poolSize: 1 });
    await old.deploy('f', { concurrency: 1, scale: { min: 1 } });
    await eventually(() => idsOf(old).length === 1 && old.spares.ready === 1);
    await old.pools.pause();
    old.pools.release(() => {});
    await eventually(() => idsOf(old).length === 0 && old.spares.ready === 0);
    old.pools.resume();
    await eventually(() => old.spares.ready === 1);
    expect((await fetch(`${old.url}/function/f`)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(idsOf(old)).toHaveLength(1);
  });
});

test('bounds of the host hold from the moment they are set anew', async () => {
  const holder = createHolder();
  await using harness = await createGatewayHarness({ serve: holder.serve, maxConcurrentStarts: 1, maxInstances: 1 });
  await harness.deploy('f', { concurrency: 1 });
  const calls = [1, 2, 3].map(() => fetch(`${harness.url}/function/f/hold`));
  await eventually(() => holder.held.length === 1);
  harness.rebound({ ...BOUNDS, maxInstances: 3, maxConcurrentStarts: 2 });
  await eventually(() => holder.held.length === 3);
  for (const answer of holder.held) answer();
  await Promise.all(calls);
  harness.rebound({ ...BOUNDS, poolSize: 1 });
  await eventually(() => harness.spares.ready === 1);
  harness.rebound(BOUNDS);
  await eventually(() => harness.spares.ready === 0);
});
