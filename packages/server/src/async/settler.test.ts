import { expect, test } from 'vitest';
import type { Settlement } from '../store/queue.ts';
import { createSettler } from './settler.ts';

const logger = { error: () => {} };
const settlementOf = (receipt: string): Settlement => ({ receipt, now: 0, next: { kind: 'succeeded' } });
const always = () => true;

/** A queue that writes down what it is asked to settle at once. */
function createQueue() {
  const commits: string[][] = [];
  const settle = async (settlements: readonly Settlement[]) => {
    commits.push(settlements.map(({ receipt }) => receipt));
    return settlements.map(() => true);
  };
  return { commits, settle };
}

test('outcomes of one moment go to the disk together', async () => {
  const queue = createQueue();
  const settler = createSettler({ queue, logger });
  await Promise.all(['a', 'b', 'c'].map((receipt) => settler.settle(settlementOf(receipt), always)));
  expect(queue.commits).toEqual([['a', 'b', 'c']]);
});

test('the first outcome is written at once, and those soon after it together', async () => {
  const queue = createQueue();
  const settler = createSettler({ queue, logger, apartMs: () => 100 });
  await settler.settle(settlementOf('first'), always);
  expect(queue.commits).toEqual([['first']]);
  const later: Promise<boolean>[] = [];
  for (const receipt of ['second', 'third', 'fourth']) {
    later.push(settler.settle(settlementOf(receipt), always));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(settler.pending).toBe(3);
  expect(await Promise.all(later)).toEqual([true, true, true]);
  expect(queue.commits).toEqual([['first'], ['second', 'third', 'fourth']]);
});

test('outcomes that cannot be written are tried again until their lease is over', async () => {
  const queue = createQueue();
  let failures = 2;
  const failing = {
    settle: async (settlements: readonly Settlement[]) => {
      failures -= 1;
      if (failures >= 0) throw new Error('no space');
      return queue.settle(settlements);
    },
  };
  const settler = createSettler({ queue: failing, logger });
  const [kept, lost] = await Promise.all([
    settler.settle(settlementOf('kept'), always),
    settler.settle(settlementOf('lost'), () => false),
  ]);
  expect([kept, lost]).toEqual([true, false]);
  expect(queue.commits).toEqual([['kept']]);
});
