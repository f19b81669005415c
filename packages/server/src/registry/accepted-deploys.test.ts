import { setTimeout as sleep } from 'node:timers/promises';
import { type FunctionSpecInput, functionSpecSchema } from '@ebb/contract';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { EbbError } from '../core/errors.ts';
import { createLogger } from '../core/logger.ts';
import type { DeployInput } from '../core/ports.ts';
import type { KeyValue } from '../store/key-value.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { createAcceptedDeploys } from './accepted-deploys.ts';
import { createFunctionRegistry } from './function-registry.ts';
import { createNamespaceRegistry } from './namespace-registry.ts';

const NAMESPACE = 'openfaas-fn';
const NAME = 'hello';

const input = (image: string, more: FunctionSpecInput = {}): DeployInput => ({
  namespace: NAMESPACE,
  name: NAME,
  spec: functionSpecSchema.parse({ image, ...more }),
});

const closing: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of closing.splice(0)) await one[Symbol.asyncDispose]();
});

/** A registry and a runner over a store, as one start of a server has them; what runs instances is played by `gate`. */
async function setUp(store: KeyValue = createMemoryKeyValue(), hasInstances = true) {
  const gate = {
    admit: (_image: string | undefined): Promise<void> => Promise.resolve(),
    prove: (_signal: AbortSignal | undefined): Promise<void> => Promise.resolve(),
  };
  const proved: number[] = [];
  const namespaces = await createNamespaceRegistry({ store, clock: systemClock });
  const registry = await createFunctionRegistry({
    store,
    namespaces,
    secrets: { has: async () => false },
    code: { has: () => false },
    clock: systemClock,
    gate: {
      admit: async ({ image }) => {
        await gate.admit(image);
        return {};
      },
      prove: async ({ version }, signal) => {
        proved.push(version);
        await gate.prove(signal);
      },
      warm: async () => {},
      discard: async () => {},
    },
  });
  const deploys = createAcceptedDeploys({
    registry,
    store,
    isServing: () => hasInstances,
    clock: systemClock,
    logger: createLogger('silent'),
    admitMs: 50,
    retryMs: 5,
  });
  await deploys.start();
  closing.push(deploys);
  const imageServed = () => registry.resolve(NAMESPACE, NAME)?.live.spec.image;
  return { store, gate, proved, registry, deploys, imageServed };
}

/** Resolves when the signal aborts, as an instance that never becomes ready. */
const never = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));

describe('a first deploy', () => {
  test('can be called as soon as it is accepted, and nothing was started before that', async () => {
    const { deploys, proved, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    expect(imageServed()).toBe('a');
    expect([proved, deploys.list()]).toEqual([[], []]);
  });

  test('is refused while its parts are not there, and leaves nothing', async () => {
    const { deploys, gate, registry, store } = await setUp();
    gate.admit = () => Promise.reject(new EbbError('IMAGE_NOT_FOUND', 'no such image'));
    await expect(deploys.accept(input('a'), 'create')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    const missing = input('a', { secrets: ['nothing'] });
    await expect(deploys.accept(missing, 'create')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' });
    expect([registry.list(), deploys.list(), await store.list('accepted-deploy/')]).toEqual([[], [], []]);
  });

  test('whose image takes long is accepted, shown, and serves once the image is there', async () => {
    const { deploys, gate, imageServed } = await setUp();
    const image = Promise.withResolvers<void>();
    gate.admit = () => image.promise;
    await deploys.accept(input('a'), 'create');
    expect(deploys.pending(NAMESPACE, NAME)?.input.spec.image).toBe('a');
    await expect(deploys.accept(input('b'), 'create')).rejects.toMatchObject({ code: 'CONFLICT' });
    image.resolve();
    await expect.poll(imageServed).toBe('a');
    await expect.poll(() => deploys.list()).toEqual([]);
  });

  test('is a conflict where the function is there, and an update is not found where it is not', async () => {
    const { deploys } = await setUp();
    await expect(deploys.accept(input('a'), 'replace')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' });
    await deploys.accept(input('a'), 'create');
    await expect(deploys.accept(input('a'), 'create')).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('an update that cannot be carried out', () => {
  /** A function that serves `a`, with `b` accepted for it, whose instances never become ready. */
  async function setUpPending() {
    const bench = await setUp();
    await bench.deploys.accept(input('a'), 'create');
    bench.gate.prove = () => Promise.reject(new EbbError('DEPLOY_FAILED', 'it does not start'));
    await bench.deploys.accept(input('b'), 'replace');
    expect(bench.deploys.list()).toHaveLength(1);
    return bench;
  }

  test('does not bring back a function that somebody removes', async () => {
    const { deploys, registry, store } = await setUpPending();
    await registry.remove(NAMESPACE, NAME);
    await expect.poll(() => store.list('accepted-deploy/')).toEqual([]);
    await sleep(30);
    expect([registry.list(), deploys.list()]).toEqual([[], []]);
  });

  test('does not replace what somebody else deploys later', async () => {
    const { deploys, gate, registry, store, imageServed } = await setUpPending();
    await registry.put(input('c'), { probe: false });
    gate.prove = () => Promise.resolve();
    await expect.poll(() => store.list('accepted-deploy/')).toEqual([]);
    await sleep(30);
    expect([imageServed(), deploys.list()]).toEqual(['c', []]);
  });
});

describe('an update', () => {
  test('is accepted before its first instance is ready; until then the old version serves', async () => {
    const { deploys, gate, imageServed, store } = await setUp();
    await deploys.accept(input('a'), 'create');
    const ready = Promise.withResolvers<void>();
    gate.prove = () => ready.promise;
    await deploys.accept(input('b'), 'replace');
    expect([imageServed(), deploys.pending(NAMESPACE, NAME)?.input.spec.image]).toEqual(['a', 'b']);
    ready.resolve();
    await expect.poll(imageServed).toBe('b');
    await expect.poll(() => deploys.pending(NAMESPACE, NAME)).toBeUndefined();
    await expect.poll(() => store.list('accepted-deploy/')).toEqual([]);
  });

  test('serves at once where no instance of the old version could', async () => {
    const { deploys, proved, imageServed } = await setUp(createMemoryKeyValue(), false);
    await deploys.accept(input('a'), 'create');
    await deploys.accept(input('b'), 'replace');
    expect([imageServed(), proved]).toEqual(['b', []]);
  });

  test('that was accepted is carried out by a later start of the server', async () => {
    const first = await setUp();
    await first.deploys.accept(input('a'), 'create');
    first.gate.prove = never;
    await first.deploys.accept(input('b'), 'replace');
    // As after a crash: what another start finds in the store is all there is.
    const second = await setUp(first.store);
    expect(second.deploys.pending(NAMESPACE, NAME)?.input.spec.image).toBe('b');
    await expect.poll(second.imageServed).toBe('b');
  });

  test('whose instances do not start is tried again, says why, and goes on when they do', async () => {
    const { deploys, gate, proved, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    gate.prove = () => Promise.reject(new EbbError('DEPLOY_FAILED', 'it ended with exit code 1'));
    await deploys.accept(input('b'), 'replace');
    await expect.poll(() => proved.length).toBeGreaterThan(2);
    expect([imageServed(), deploys.pending(NAMESPACE, NAME)?.failure]).toEqual(['a', 'it ended with exit code 1']);
    gate.prove = () => Promise.resolve();
    await expect.poll(imageServed).toBe('b');
  });

  test('takes the place of one that is still under way', async () => {
    const { deploys, gate, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    gate.prove = never;
    await deploys.accept(input('b'), 'replace');
    gate.prove = () => Promise.resolve();
    await deploys.accept(input('c'), 'replace');
    await expect.poll(imageServed).toBe('c');
    await expect.poll(() => deploys.list()).toEqual([]);
  });

  test('that is refused leaves the one that was accepted before under way', async () => {
    const { deploys, gate, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    const ready = Promise.withResolvers<void>();
    gate.prove = (signal) => Promise.race([ready.promise, never(signal)]);
    await deploys.accept(input('b'), 'replace');
    gate.admit = async (image) => {
      if (image === 'c') throw new EbbError('IMAGE_NOT_FOUND', 'no such image');
    };
    await expect(deploys.accept(input('c'), 'replace')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    expect(deploys.pending(NAMESPACE, NAME)?.input.spec.image).toBe('b');
    ready.resolve();
    await expect.poll(imageServed).toBe('b');
  });

  test('goes with its function, which can be created again at once', async () => {
    const { deploys, gate, registry, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    gate.prove = never;
    await deploys.accept(input('b'), 'replace');
    await deploys.remove(NAMESPACE, NAME);
    expect([registry.list(), deploys.list()]).toEqual([[], []]);
    await deploys.accept(input('c'), 'create');
    expect(imageServed()).toBe('c');
  });

  test('is left to another server while it takes over, and gone on with if it does not', async () => {
    const { deploys, gate, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    gate.prove = never;
    await deploys.accept(input('b'), 'replace');
    await deploys.hold();
    gate.prove = () => Promise.resolve();
    expect(imageServed()).toBe('a');
    deploys.goOn();
    await expect.poll(imageServed).toBe('b');
  });

  test('ends a number of instances that was asked for before it, even where it changes nothing', async () => {
    const { deploys, registry } = await setUp(createMemoryKeyValue(), false);
    const replicas = () => registry.resolve(NAMESPACE, NAME)?.replicas?.count;
    await deploys.accept(input('a'), 'create');
    for (const image of ['a', 'b']) {
      await registry.setReplicas(NAMESPACE, NAME, 0);
      await sleep(2);
      await deploys.accept(input(image), 'replace');
      expect(replicas()).toBeUndefined();
    }
  });

  test('keeps the number that is asked for while it is under way', async () => {
    const { deploys, gate, registry, imageServed } = await setUp();
    await deploys.accept(input('a'), 'create');
    const ready = Promise.withResolvers<void>();
    gate.prove = () => ready.promise;
    await deploys.accept(input('b'), 'replace');
    await sleep(2);
    await registry.setReplicas(NAMESPACE, NAME, 0);
    ready.resolve();
    await expect.poll(imageServed).toBe('b');
    expect(registry.resolve(NAMESPACE, NAME)?.replicas?.count).toBe(0);
  });
});
