import type { InstanceState } from '@ebb/contract';
import { expect, test } from 'vitest';
import { UsageMeter } from './usage-meter.ts';

const MB = 2 ** 20;

/** Instances whose use a test sets, and a clock that goes on by itself where the meter waits. */
const setUp = () => {
  let now = 0;
  const instances = new Map<string, { name: string; state: InstanceState; cpuMs: number; memoryBytes: number }>();
  const asked: string[] = [];
  const gone = new Set<string>();
  const meter = new UsageMeter({
    instances: () => Array.from(instances, ([id, { name, state }]) => ({ id, namespace: 'ns', function: name, state })),
    isThere: (_namespace, name) => !gone.has(name),
    stats: async (id) => {
      asked.push(id);
      const found = instances.get(id);
      if (!found) throw new Error('it has ended');
      // Every look is a second after the one before, in which half a core was used.
      now += 1_000;
      found.cpuMs += 500;
      return { cpuMs: found.cpuMs, memoryBytes: found.memoryBytes };
    },
    clock: { monotonic: () => now },
  });
  const add = (id: string, name: string, memoryBytes: number, state: InstanceState = 'idle') =>
    instances.set(id, { name, state, cpuMs: 0, memoryBytes });
  return { meter, instances, asked, gone, add, pass: (ms: number) => (now += ms) };
};

test('the use of a function is that of all its instances, and of no other function', async () => {
  const { meter, add, pass } = setUp();
  add('a', 'f', 10 * MB);
  add('b', 'f', 20 * MB);
  add('c', 'g', 40 * MB);
  // Between the two looks at each there is one at the other.
  expect(await meter.usage('ns', 'f')).toEqual({ cpuMillicores: 500, memoryBytes: 30 * MB });
  expect(await meter.usage('ns', 'none')).toEqual({ cpuMillicores: 0, memoryBytes: 0 });
  pass(400);
  // What was measured lately is what it is compared with, so nobody waits.
  expect((await meter.usage('ns', 'f')).memoryBytes).toBe(30 * MB);
});

test('CPU time only grows, over instances that have ended too, and goes with its function', async () => {
  const { meter, instances, gone, add, pass } = setUp();
  add('a', 'f', 10 * MB);
  add('b', 'f', 20 * MB);
  expect(await meter.totals()).toEqual([{ namespace: 'ns', name: 'f', cpuMs: 1000, memoryBytes: 30 * MB }]);
  instances.delete('a');
  pass(5_000);
  expect(await meter.totals()).toEqual([{ namespace: 'ns', name: 'f', cpuMs: 1500, memoryBytes: 20 * MB }]);
  instances.delete('b');
  pass(5_000);
  expect(await meter.totals()).toEqual([{ namespace: 'ns', name: 'f', cpuMs: 1500, memoryBytes: 0 }]);
  gone.add('f');
  pass(5_000);
  expect(await meter.totals()).toEqual([]);
});

test('an instance that is frozen is measured once, and those who ask together share one look', async () => {
  const { meter, asked, add, pass } = setUp();
  add('a', 'f', 10 * MB, 'frozen');
  await Promise.all([meter.totals(), meter.totals()]);
  pass(5_000);
  expect(await meter.totals()).toEqual([{ namespace: 'ns', name: 'f', cpuMs: 500, memoryBytes: 10 * MB }]);
  expect(asked).toEqual(['a']);
});

test('an instance that ends meanwhile is left out', async () => {
  const { meter, instances, add } = setUp();
  add('a', 'f', 10 * MB);
  const asking = meter.usage('ns', 'f');
  instances.delete('a');
  expect(await asking).toMatchObject({ cpuMillicores: 0 });
});

test('an engine that takes its time is not waited for; what it said is told the next time', async () => {
  const answer = Promise.withResolvers<{ cpuMs: number; memoryBytes: number }>();
  const meter = new UsageMeter({
    instances: () => [{ id: 'a', namespace: 'ns', function: 'f', state: 'busy' }],
    isThere: () => true,
    stats: () => answer.promise,
    clock: { monotonic: () => 5_000 },
  });
  expect(await meter.totals()).toEqual([]);
  answer.resolve({ cpuMs: 70, memoryBytes: MB });
  await expect.poll(() => meter.totals()).toEqual([{ namespace: 'ns', name: 'f', cpuMs: 70, memoryBytes: MB }]);
});
