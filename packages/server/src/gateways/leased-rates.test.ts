import { expect, test, vi } from 'vitest';
import { LeasedRates } from './leased-rates.ts';
import type { RateRequest } from './messages.ts';

function setUp() {
  const sent: RateRequest[] = [];
  const rates = new LeasedRates({ limited: ['a'], send: (message) => sent.push(message) });
  return { sent, rates, gate: rates.of('a') };
}
const drawn = (granted: number, retryAfterMs = 0) =>
  ({ kind: 'drawn', namespace: 'a', granted, retryAfterMs }) as const;

test('the first calls ask, those that come meanwhile ask together, and what is left lets others pass without a word', async () => {
  const { sent, rates, gate } = setUp();
  using _rates = rates;
  const first = gate.take();
  const more = [Promise.resolve(gate.take()), Promise.resolve(gate.take())];
  expect(sent).toEqual([{ kind: 'draw', namespace: 'a', count: 1 }]);
  rates.receive(drawn(1));
  await first;
  expect(sent.at(-1)).toEqual({ kind: 'draw', namespace: 'a', count: 2 });
  rates.receive(drawn(3));
  await Promise.all(more);
  expect([gate.take(), sent.length]).toEqual([undefined, 2]);
});

test('of those who asked the first ones pass, the others are told when to come again', async () => {
  const { rates, gate } = setUp();
  using _rates = rates;
  const first = gate.take();
  const late = [Promise.resolve(gate.take()), Promise.resolve(gate.take())];
  rates.receive(drawn(1));
  await first;
  const settled = Promise.allSettled(late);
  rates.receive(drawn(1, 2_500));
  expect(await settled).toMatchObject([
    { status: 'fulfilled' },
    { status: 'rejected', reason: { code: 'RATE_LIMIT', retryAfterSeconds: 3 } },
  ]);
});

test('what was not used is given back', async () => {
  vi.useFakeTimers();
  const { sent, rates, gate } = setUp();
  using _rates = rates;
  const first = gate.take();
  rates.receive(drawn(4));
  await first;
  vi.advanceTimersByTime(100);
  expect(sent.at(-1)).toEqual({ kind: 'put-back', namespace: 'a', count: 3 });
  vi.useRealTimers();
});

test('a namespace is limited from the moment it is told', () => {
  const { rates } = setUp();
  using _rates = rates;
  const gate = rates.of('b');
  expect([gate.isLimited, rates.of('a').isLimited]).toEqual([false, true]);
  rates.receive({ kind: 'rate', seq: 1, namespace: 'b', isLimited: true });
  expect(gate.isLimited).toBe(true);
});
