import { expect, test } from 'vitest';
import { createWaiters } from './waiters.ts';

const never = async () => ({ found: 'queued', isOver: false });

test('a wait ends as soon as it is told, and finds what is over by itself too', async () => {
  const waiters = createWaiters();
  let isOver = false;
  let looks = 0;
  const look = async () => {
    looks += 1;
    return { found: isOver ? 'succeeded' : 'queued', isOver };
  };
  const told = waiters.wait('a', look, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 1));
  isOver = true;
  waiters.ended('b');
  waiters.ended('a');
  expect(await told).toBe('succeeded');
  expect(looks).toBe(2);
  expect(await waiters.wait('a', look, 0)).toBe('succeeded');

  isOver = false;
  const untold = waiters.wait('a', look, 60_000);
  setTimeout(() => (isOver = true), 20);
  expect(await untold).toBe('succeeded');
});

test('a wait ends with what there is when its time is over, nobody wants it, or waits are held', async () => {
  const waiters = createWaiters();
  expect(await waiters.wait('a', never, 20)).toBe('queued');
  expect(await waiters.wait('a', never, 60_000, AbortSignal.timeout(20))).toBe('queued');
  const waits = ['a', 'a', 'b'].map((id) => waiters.wait(id, never, 60_000));
  setTimeout(() => waiters.hold(), 20);
  expect(await Promise.all(waits)).toEqual(['queued', 'queued', 'queued']);
  expect(await waiters.wait('a', never, 60_000)).toBe('queued');
  waiters.goOn();
  let isBack = false;
  const again = waiters.wait('a', never, 50).then(() => (isBack = true));
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(isBack).toBe(false);
  await again;
});

test('what a look throws is thrown', async () => {
  const failing = createWaiters().wait('a', () => Promise.reject(new Error('not found')), 60_000);
  await expect(failing).rejects.toThrow('not found');
});
