import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { Admission } from './admission.ts';
import { createEndpoint } from './endpoint.ts';
import { Fifo } from './fifo.ts';

const endpointOf = (instanceId: string) =>
  createEndpoint({ instanceId, target: { kind: 'unix', path: '/nowhere' }, managed: true, capacity: 1, nowMs: 0 });

test('G2: who waits is not sent to the instance that just failed', async () => {
  const admission = new Admission({
    label: 'f',
    queueLength: 10,
    queueWaitMs: 1_000,
    concurrency: 1,
    maxInstances: 2,
    onDemand: () => {},
    onReturned: () => {},
    onFailure: (endpoint) => {
      endpoint.accepting = false;
      admission.remove(endpoint);
    },
  });
  admission.add(endpointOf('bad'));
  const slot = await admission.acquire();
  const waiting = admission.acquire();
  slot.fail('hard');
  admission.add(endpointOf('good'));
  expect((await waiting).endpoint.instanceId).toBe('good');
  slot.release();
  expect(admission.inFlight).toBe(1);
});

test('only an answer makes up for failures, not a caller that left; what has no room for a connection is not to blame', () => {
  const admission = new Admission({
    label: 'f',
    queueLength: 10,
    queueWaitMs: 1_000,
    concurrency: 1,
    maxInstances: 1,
    onDemand: () => {},
    onReturned: () => {},
    onFailure: () => {},
  });
  const endpoint = endpointOf('one');
  admission.add(endpoint);
  const after = (end: (slot: NonNullable<ReturnType<Admission['tryAcquire']>>) => void) => {
    const slot = admission.tryAcquire();
    if (slot) end(slot);
    return [endpoint.failuresInRow, endpoint.hasServed];
  };
  expect(after((slot) => slot.fail('soft'))).toEqual([1, false]);
  expect(after((slot) => slot.release('unknown'))).toEqual([1, false]);
  expect(after((slot) => slot.fail('full'))).toEqual([1, false]);
  expect(after((slot) => slot.release())).toEqual([0, true]);
});

test('a wait is for the instance that came meanwhile, else for a turn; a slot that was free has none', async () => {
  const admission = new Admission({
    label: 'f',
    queueLength: 10,
    queueWaitMs: 1_000,
    concurrency: 1,
    maxInstances: 1,
    onDemand: () => {},
    onReturned: () => {},
    onFailure: () => {},
  });
  const started = { cause: 'scale-from-zero' } as const;
  const early = [admission.acquire(), admission.acquire()];
  const endpoint = endpointOf('one');
  admission.add(endpoint, started);
  const late = admission.acquire();
  for (const waiting of early) {
    const slot = await waiting;
    expect(slot.wait).toBe(started);
    slot.release();
  }
  const slot = await late;
  expect(slot.wait).toEqual({ cause: 'busy' });
  slot.release();
  const free = await admission.acquire();
  expect(free.wait).toBeUndefined();
  endpoint.accepting = false;
  free.release();
  const waiting = admission.acquire();
  admission.readmit(endpoint, { cause: 'thaw', thawMs: 1 });
  expect((await waiting).wait).toEqual({ cause: 'thaw', thawMs: 1 });
});

test('places that were given up are forgotten, even behind one that stays', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const line = new Fifo<object>();
  line.push({ first: true });
  const left: WeakRef<object>[] = [];
  for (let i = 0; i < 10; i += 1) {
    const value = { i };
    left.push(new WeakRef(value));
    line.push(value).leave();
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
  collect();
  expect(left.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(2);
  expect([line.length, line.shift(), line.shift()]).toEqual([1, { first: true }, undefined]);
});

test('a line keeps its order whoever leaves it', () => {
  const line = new Fifo<string>();
  const [a, , c, d] = ['a', 'b', 'c', 'd', 'e'].map((name) => line.push(name));
  c?.leave();
  c?.leave();
  a?.leave();
  expect(line.shift()).toBe('b');
  d?.leave();
  line.push('f');
  expect([line.length, line.shift(), line.shift(), line.shift(), line.length]).toEqual([2, 'e', 'f', undefined, 0]);
});
