import { expect, test } from 'vitest';
import { EbbError } from './errors.ts';
import { createLane } from './lane.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('work is done in order, no more at once than allowed, past failures', async () => {
  const lane = createLane({ running: 2 });
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const work = (index: number) => async () => {
    started.push(index);
    most = Math.max(most, (running += 1));
    await tick();
    running -= 1;
    if (index % 3 === 0) throw new Error(`${index} failed`);
  };
  await Promise.allSettled(Array.from({ length: 20 }, (_, index) => lane(work(index))));
  expect(started).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(most).toBe(2);
});

test('more waiting than allowed is refused at once, and room is made as work ends', async () => {
  const refuse = () => new EbbError('TOO_MANY_ATTEMPTS', 'too many');
  const lane = createLane({ running: 1, queue: { waiting: 1, refuse } });
  const outcomes = await Promise.allSettled([lane(tick), lane(tick), lane(tick)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  await lane(tick);
});
