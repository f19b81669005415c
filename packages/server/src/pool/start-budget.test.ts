import { expect, test } from 'vitest';
import { StartBudget } from './start-budget.ts';

test('S3: no more permits are out than allowed, and they go in the order they were asked for', async () => {
  const budget = new StartBudget(2);
  const order: number[] = [];
  const permits = [1, 2, 3, 4].map(async (number) => {
    const permit = await budget.acquire();
    order.push(number);
    return permit;
  });
  await Promise.all(permits.slice(0, 2));
  expect(order).toEqual([1, 2]);
  const [first] = permits;
  (await first)?.[Symbol.dispose]();
  (await first)?.[Symbol.dispose]();
  await permits[2];
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual([1, 2, 3]);
  for (const permit of [permits[1], permits[2]]) (await permit)?.[Symbol.dispose]();
  (await permits[3])?.[Symbol.dispose]();
});

test('a start that never ends does not hold up those of other functions', async () => {
  const budget = new StartBudget(1, 10);
  const stuck = await budget.acquire();
  const next = await budget.acquire();
  // Given back late, it frees nothing a second time.
  stuck[Symbol.dispose]();
  next[Symbol.dispose]();
  (await budget.acquire())[Symbol.dispose]();
});

test('namespaces take turns, and functions in them: who wants many starts holds up nobody else’s', async () => {
  const budget = new StartBudget(1);
  const order: string[] = [];
  const running = await budget.acquire();
  const ask = async (namespace: string, name: string) => {
    using _permit = await budget.acquire({ namespace, name });
    order.push(`${namespace}/${name}`);
  };
  const asked = ['loud/a', 'loud/a', 'loud/a', 'loud/b', 'calm/c', 'calm/c'].map((owner) => {
    const [namespace = '', name = ''] = owner.split('/');
    return ask(namespace, name);
  });
  running[Symbol.dispose]();
  await Promise.all(asked);
  expect(order).toEqual(['loud/a', 'calm/c', 'loud/b', 'calm/c', 'loud/a', 'loud/a']);
});
