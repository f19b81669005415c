import { DEFAULT_NAMESPACE } from '@ebb/contract';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { createMemoryKeyValue } from '../store/memory/memory-key-value.ts';
import { createNamespaceRegistry } from './namespace-registry.ts';

const open = async (store = createMemoryKeyValue()) => ({
  store,
  namespaces: await createNamespaceRegistry({ store, clock: systemClock }),
});

describe('namespaces', () => {
  test('the default one is there from the first start, with id 1', async () => {
    const { store, namespaces } = await open();
    expect(namespaces.get(DEFAULT_NAMESPACE)).toMatchObject({ name: DEFAULT_NAMESPACE, id: 1 });
    expect((await open(store)).namespaces.list()).toEqual(namespaces.list());
  });

  test('creating one twice, also at the same time, gives the same one', async () => {
    const { namespaces } = await open();
    const [one, two] = await Promise.all([namespaces.create('team'), namespaces.create('team')]);
    expect(one).toEqual(two);
    expect(namespaces.list().map(({ name, id }) => [name, id])).toEqual([
      ['openfaas-fn', 1],
      ['team', 2],
    ]);
  });

  test('an id is never given out again, not even after a restart', async () => {
    const { store, namespaces } = await open();
    await namespaces.create('first');
    await namespaces.remove('first');
    const again = (await open(store)).namespaces;
    await again.create('second');
    await again.create('first');
    expect(again.list().map(({ id }) => id)).toEqual([4, 1, 3]);
  });

  test.each([
    ['function/team/f', '1 function and 0 secrets'],
    ['secret/team/s', '0 functions and 1 secret'],
  ])('one that holds %s cannot be removed and stays', async (key, words) => {
    const { store, namespaces } = await open();
    await namespaces.create('team');
    await store.commit([{ kind: 'set', key, value: '{}' }]);
    await expect(namespaces.remove('team')).rejects.toMatchObject({
      code: 'NAMESPACE_NOT_EMPTY',
      message: expect.stringContaining(words) as string,
    });
    expect(namespaces.get('team')).toMatchObject({ id: 2 });
  });

  test('a neighbour whose name starts the same does not keep one from being removed', async () => {
    const { store, namespaces } = await open();
    await namespaces.create('team');
    await store.commit([{ kind: 'set', key: 'function/team-2/f', value: '{}' }]);
    await namespaces.remove('team');
    expect(namespaces.get('team')).toBeUndefined();
  });

  test('the default and an unknown one cannot be removed', async () => {
    const { namespaces } = await open();
    await expect(namespaces.remove(DEFAULT_NAMESPACE)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await expect(namespaces.remove('nowhere')).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
  });

  test.each(['', 'A', 'a/b', '..', '__proto__', 'a.b', 'é', 'x'.repeat(64)])('the name %j is refused', async (name) => {
    const { namespaces } = await open();
    await expect(namespaces.create(name)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

describe('limits', () => {
  test('are kept over a restart, told to who watches, and gone with an empty set', async () => {
    const { store, namespaces } = await open();
    const told: unknown[] = [];
    using watching = namespaces.watch(({ name, limits }) => told.push([name, limits]));
    const limits = { concurrency: 5, rate: '100/s', burst: 20, reserved: 25 };
    expect(await namespaces.setLimits(DEFAULT_NAMESPACE, limits)).toMatchObject({ limits });
    expect((await open(store)).namespaces.get(DEFAULT_NAMESPACE)).toMatchObject({ id: 1, limits });
    expect(await namespaces.setLimits(DEFAULT_NAMESPACE, {})).not.toHaveProperty('limits');
    expect((await open(store)).namespaces.get(DEFAULT_NAMESPACE)).not.toHaveProperty('limits');
    watching[Symbol.dispose]();
    await namespaces.setLimits(DEFAULT_NAMESPACE, limits);
    expect(told).toEqual([
      [DEFAULT_NAMESPACE, limits],
      [DEFAULT_NAMESPACE, undefined],
    ]);
  });

  test('of a removed namespace are gone: what is made under its name begins without', async () => {
    const { namespaces } = await open();
    await namespaces.create('team');
    await namespaces.setLimits('team', { concurrency: 1 });
    const told: unknown[] = [];
    using _watching = namespaces.watch(({ name, limits }) => told.push([name, limits]));
    await namespaces.remove('team');
    expect([told, await namespaces.create('team')]).toEqual([
      [['team', undefined]],
      expect.not.objectContaining({ limits: expect.anything() }),
    ]);
  });

  test('reserve no more of the host than there is, nor fewer calls than functions have reserved', async () => {
    const store = createMemoryKeyValue();
    const namespaces = await createNamespaceRegistry({ store, clock: systemClock, reservedCalls: () => 4 });
    await namespaces.create('team');
    await namespaces.setLimits('team', { reserved: 60 });
    await expect(namespaces.setLimits(DEFAULT_NAMESPACE, { reserved: 50 })).rejects.toMatchObject({
      code: 'LIMITS_INVALID',
      message: '"reserved" is 50 percent of the host, of which other namespaces leave 40',
    });
    await expect(namespaces.setLimits('team', { concurrency: 3 })).rejects.toMatchObject({ code: 'LIMITS_INVALID' });
    await expect(namespaces.setLimits('absent', {})).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    await namespaces.setLimits('team', { reserved: 100, concurrency: 4 });
  });
});
