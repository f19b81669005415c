import { expect, test } from 'vitest';
import { openLendable } from './lendable-key-value.ts';
import { createMemoryKeyValue } from './memory/memory-key-value.ts';

test('what is asked of a store that is lent waits until it is back, in order', async () => {
  let opened = 0;
  const store = await openLendable(async () => {
    opened += 1;
    return createMemoryKeyValue();
  });
  await store.commit([{ kind: 'set', key: 'a', value: 'lost with the memory it is in' }]);
  await store.lend();
  const order: string[] = [];
  const write = store.commit([{ kind: 'set', key: 'b', value: '1', ifVersion: 0 }]).then(() => order.push('write'));
  const read = store.get('b').then((entry) => order.push(`read ${entry?.value}`));
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(order).toEqual([]);
  await store.takeBack();
  await Promise.all([write, read]);
  expect(order).toEqual(['write', 'read 1']);
  expect(opened).toBe(2);
  expect(await store.list('a')).toEqual([]);
});

test('one that cannot be opened again is tried again, and one that is lent has nothing to close', async () => {
  let isFailing = false;
  const store = await openLendable(() =>
    isFailing ? Promise.reject(new Error('in use')) : Promise.resolve(createMemoryKeyValue()),
  );
  await store.lend();
  await store.lend();
  isFailing = true;
  await expect(store.takeBack()).rejects.toThrow('in use');
  isFailing = false;
  await store.takeBack();
  expect(await store.get('a')).toBeUndefined();
  await store.lend();
  await store[Symbol.asyncDispose]();
  isFailing = true;
  await store.takeBack();
});

test('one that is given away fails what waits for it and what comes, until it is back', async () => {
  const store = await openLendable(() => Promise.resolve(createMemoryKeyValue()));
  await store.lend();
  const waiting = store.get('a');
  store.giveAway(new Error('given away'));
  await expect(waiting).rejects.toThrow('given away');
  await expect(store.list('')).rejects.toThrow('given away');
  store.giveAway(new Error('lost'));
  await expect(store.list('')).rejects.toThrow('lost');
  await store.takeBack();
  expect(await store.get('a')).toBeUndefined();
});
