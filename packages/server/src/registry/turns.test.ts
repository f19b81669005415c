import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

test('work on one key is done in order, one after the other, past failures', async () => {
  const turns = createTurns();
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} starts`);
    await new Promise((resolve) => setImmediate(resolve));
    log.push(`${name} ends`);
    if (name === 'b') throw new Error('b failed');
  };
  await Promise.allSettled([turns.run('k', work('a')), turns.run('k', work('b')), turns.run('k', work('c'))]);
  expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
});

test('work on another key does not wait', async () => {
  const turns = createTurns();
  const { promise, resolve } = Promise.withResolvers<string>();
  const slow = turns.run('a', () => promise);
  expect(await turns.run('b', async () => 'done')).toBe('done');
  resolve('late');
  expect(await slow).toBe('late');
});
