import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { createGatewayHarness, eventually, type GatewayHarness } from '../../../../testing/harness/gateway.ts';
import { createMemoryHost, type MemoryEngine } from '../engines/memory/memory-engine.ts';

const ok: RequestListener = (_request, response) => response.end('ok');
const QUICK = { freezeAfter: '100ms' };

const states = (harness: GatewayHarness, name = 'hello') =>
  harness.pools
    .list('openfaas-fn', name)
    .map(({ state }) => state)
    .sort();
const frozen = (harness: GatewayHarness, count = 1) =>
  eventually(async () => {
    const inEngine = (await harness.engine.list()).filter(({ state }) => state === 'frozen').length;
    return inEngine === count && states(harness).filter((state) => state === 'frozen').length === count;
  });
const call = async (harness: GatewayHarness, name = 'hello') => {
  const response = await fetch(`${harness.url}/function/${name}`);
  await response.text();
  return response.status;
};
/** Counts and, if asked to, changes what the pools ask of the engine. */
function watchEngine(engine: MemoryEngine) {
  const calls: string[] = [];
  const freeze = engine.freeze.bind(engine);
  const thaw = engine.thaw.bind(engine);
  const change = { freeze, thaw };
  engine.freeze = (id) => {
    calls.push('freeze');
    return change.freeze(id);
  };
  engine.thaw = (id) => {
    calls.push('thaw');
    return change.thaw(id);
  };
  return { calls, change, original: { freeze, thaw } };
}

describe('freezing what is idle', () => {
  test('an idle instance freezes and is shown so, and a call thaws and gets it', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('hello', { scale: QUICK });
    for (let round = 0; round < 3; round += 1) {
      expect(await call(harness)).toBe(200);
      await frozen(harness);
    }
    expect(await call(harness)).toBe(200);
    expect(harness.engine.createCount()).toBe(1);
    expect(harness.events.map(({ cold }) => cold)).toEqual([true, false, false, false]);
  });

  test('an image gets new connections, since it may have closed the old ones meanwhile', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('hello', { image: 'app', scale: QUICK });
    await call(harness);
    await frozen(harness);
    expect(await call(harness)).toBe(200);
    await frozen(harness);
    expect(await call(harness)).toBe(200);
    expect(harness.engine.createCount()).toBe(1);
  });

  test('"off" keeps instances running', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    const { calls } = watchEngine(harness.engine);
    await harness.deploy('hello', { scale: { freezeAfter: 'off' } });
    await call(harness);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(calls).toEqual([]);
    expect(states(harness)).toEqual(['idle']);
  });

  test('an instance with a request does not freeze', async () => {
    const held: ServerResponse[] = [];
    const serve = () => (_request: IncomingMessage, response: ServerResponse) => void held.push(response);
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('hello', { scale: QUICK });
    const calling = call(harness);
    await eventually(() => held.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(states(harness)).toEqual(['busy']);
    held[0]?.end('ok');
    expect(await calling).toBe(200);
    await frozen(harness);
  });

  test('an idle instance that froze is stopped in the end', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('hello', { scale: { ...QUICK, idle: '300ms' } });
    await call(harness);
    await frozen(harness);
    await eventually(async () => (await harness.engine.list()).length === 0);
  });
});

describe('thawing on demand', () => {
  test('G2: no request goes to a frozen instance, and all that come at once thaw exactly one', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    const { calls, change, original } = watchEngine(harness.engine);
    await harness.deploy('hello', { concurrency: 100, scale: QUICK });
    await call(harness);
    await frozen(harness);
    change.thaw = async (id) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      // A request to it before this would be held by the frozen instance.
      expect(harness.pools.list('openfaas-fn', 'hello').map(({ inFlight }) => inFlight)).toEqual([0]);
      await original.thaw(id);
    };
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(harness)));
    expect(answers.every((status) => status === 200)).toBe(true);
    expect(calls.filter((kind) => kind === 'thaw')).toHaveLength(1);
    expect(harness.engine.createCount()).toBe(1);
  });

  test('no more are thawed than the waiting requests need', async () => {
    const gate: ServerResponse[] = [];
    const serve = () => (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/held') gate.push(response);
      else setTimeout(() => response.end('ok'), 50);
    };
    await using harness = await createGatewayHarness({ serve });
    const { calls } = watchEngine(harness.engine);
    await harness.deploy('hello', { concurrency: 1, scale: QUICK });
    await Promise.all(Array.from({ length: 4 }, () => call(harness)));
    await frozen(harness, 4);
    const held = [1, 2].map(() => fetch(`${harness.url}/function/hello/held`));
    await eventually(() => gate.length === 2);
    expect(calls.filter((kind) => kind === 'thaw')).toHaveLength(2);
    expect(states(harness)).toEqual(['busy', 'busy', 'frozen', 'frozen']);
    for (const response of gate) response.end();
    await Promise.all(held);
    expect(harness.engine.createCount()).toBe(4);
  });

  test('a request that comes while its instance freezes is served as soon as that is over', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    const { calls, change, original } = watchEngine(harness.engine);
    await harness.deploy('hello', { scale: QUICK });
    await call(harness);
    const { promise, resolve } = Promise.withResolvers<void>();
    change.freeze = async (id) => {
      await promise;
      await original.freeze(id);
    };
    await eventually(() => calls.includes('freeze'));
    const calling = call(harness);
    await new Promise((done) => setTimeout(done, 30));
    resolve();
    expect(await calling).toBe(200);
    expect(harness.engine.createCount()).toBe(1);
  });

  test('calls that come just when their instances freeze are all served (G1, G2)', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    const { calls } = watchEngine(harness.engine);
    await harness.deploy('hello', { concurrency: 2, scale: QUICK });
    const answers: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      answers.push(...(await Promise.all(Array.from({ length: 5 }, () => call(harness)))));
      await new Promise((resolve) => setTimeout(resolve, 90 + ((round * 11) % 40)));
    }
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(calls).toContain('thaw');
    expect(harness.pools.list('openfaas-fn', 'hello').every(({ inFlight }) => inFlight === 0)).toBe(true);
  });

  test('an instance that cannot be thawed is replaced, and the request is served', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    const { change, original } = watchEngine(harness.engine);
    await harness.deploy('hello', { scale: QUICK });
    await call(harness);
    await frozen(harness);
    change.thaw = () => Promise.reject(new Error('no'));
    const calling = call(harness);
    expect(await calling).toBe(200);
    expect(harness.engine.createCount()).toBe(2);
    change.thaw = original.thaw;
  });

  test('where one cannot be thawed another that is frozen is, and nobody waits for long', async () => {
    await using harness = await createGatewayHarness({
      serve: () => (_request, response) => void setTimeout(() => response.end('ok'), 100),
    });
    const { calls, change, original } = watchEngine(harness.engine);
    await harness.deploy('hello', { concurrency: 1, scale: { ...QUICK, max: 2 } });
    await Promise.all([call(harness), call(harness)]);
    await frozen(harness, 2);
    calls.length = 0;
    change.thaw = (id) => (calls.length === 1 ? Promise.reject(new Error('no')) : original.thaw(id));
    expect(await call(harness)).toBe(200);
    expect(calls).toEqual(['thaw', 'thaw']);
  });

  test('an instance that cannot be frozen goes on', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    const { calls, change } = watchEngine(harness.engine);
    change.freeze = () => Promise.reject(new Error('no'));
    await harness.deploy('hello', { scale: QUICK });
    await call(harness);
    await eventually(() => calls.includes('thaw'));
    expect(await call(harness)).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // It is not tried all the time.
    expect(calls.filter((kind) => kind === 'freeze')).toHaveLength(1);
    expect([await call(harness), harness.engine.createCount()]).toEqual([200, 1]);
  });

  test('an instance that ends while it is frozen is replaced by the next call', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('hello', { scale: QUICK });
    await call(harness);
    await frozen(harness);
    const [instance] = await harness.engine.list();
    harness.engine.crash(instance?.id ?? '');
    await eventually(() => states(harness).length === 0);
    expect(await call(harness)).toBe(200);
    expect(harness.engine.createCount()).toBe(2);
  });
});

test('E1: the next server thaws and adopts what the last one froze', async () => {
  const host = createMemoryHost();
  const first = await createGatewayHarness({ serve: () => ok, host });
  await first.deploy('hello', { scale: QUICK });
  await call(first);
  await frozen(first);
  await first.kill();
  await using second = await createGatewayHarness({ serve: () => ok, host, store: first.store });
  expect(await call(second)).toBe(200);
  expect(second.engine.createCount()).toBe(0);
});

describe('the limit of frozen memory', () => {
  test('stops the longest idle until the rest keeps within it', async () => {
    // An instance of the memory engine says that it takes 1 MiB.
    await using harness = await createGatewayHarness({ serve: () => ok, maxFrozenBytes: 2 * 2 ** 20 });
    for (const name of ['a', 'b', 'c']) {
      await harness.deploy(name, { scale: QUICK });
      await call(harness, name);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await eventually(async () => (await harness.engine.list()).length === 2);
    expect((await harness.engine.list()).map(({ labels }) => labels.function)).toEqual(['b', 'c']);
    expect(await call(harness, 'a')).toBe(200);
  });

  test('spares what "scale.min" and "scale.standby" keep', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, maxFrozenBytes: 0 });
    await harness.deploy('floor', { scale: { ...QUICK, min: 1 } });
    await eventually(async () => (await harness.engine.list()).some(({ state }) => state === 'frozen'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await harness.engine.list()).toHaveLength(1);
    expect(harness.engine.createCount()).toBe(1);
  });
});

describe('standby', () => {
  test('that many are started, frozen and kept beyond those at work', async () => {
    const gate: ServerResponse[] = [];
    const serve = () => (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/held') gate.push(response);
      else response.end('ok');
    };
    await using harness = await createGatewayHarness({ serve });
    await harness.deploy('hello', { concurrency: 1, scale: { ...QUICK, idle: '100ms', standby: 2 } });
    await frozen(harness, 2);
    const held = fetch(`${harness.url}/function/hello/held`);
    await eventually(() => gate.length === 1);
    await eventually(() => states(harness).join() === 'busy,frozen,frozen');
    gate[0]?.end();
    await held;
    // The third is not needed and leaves after its time; the two stay.
    await eventually(() => states(harness).join() === 'frozen,frozen');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(states(harness)).toEqual(['frozen', 'frozen']);
    expect(harness.engine.createCount()).toBe(3);
    expect(harness.events.map(({ cold }) => cold)).toEqual([false]);
  });

  test('there are never more than "scale.max", nor more than the host takes', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, maxInstances: 3 });
    await harness.deploy('hello', { scale: { ...QUICK, standby: 2, max: 2 } });
    await harness.deploy('other', { scale: { ...QUICK, standby: 5 } });
    await eventually(() => harness.pools.size === 3);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(harness.pools.size).toBe(3);
    expect(states(harness).length).toBeLessThanOrEqual(2);
  });

  test('on a full host they make room for calls of others', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, maxInstances: 2 });
    await harness.deploy('hello', { scale: { ...QUICK, standby: 2 } });
    await frozen(harness, 2);
    await harness.deploy('other', { scale: { idle: '100ms' } });
    expect(await call(harness, 'other')).toBe(200);
    expect(harness.pools.size).toBeLessThanOrEqual(2);
    await eventually(() => states(harness).join() === 'frozen,frozen');
  });

  test('one that does not start is not tried all the time', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok, faults: { crashingStarts: 1_000 } });
    await harness.deploy('hello', { scale: { standby: 1 } });
    await eventually(() => harness.engine.createCount() > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(harness.engine.createCount()).toBeLessThan(4);
  });

  test('a replaced version gives its standby up', async () => {
    await using harness = await createGatewayHarness({ serve: () => ok });
    await harness.deploy('hello', { scale: { ...QUICK, standby: 1 } });
    await frozen(harness);
    await harness.deploy('hello', { env: { V: '2' } });
    await eventually(async () => (await harness.engine.list()).length === 0);
  });
});
