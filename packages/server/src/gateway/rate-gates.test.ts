import { expect, test } from 'vitest';
import { RateGates } from './rate-gates.ts';

function setUp() {
  const time = { now: 0 };
  return { time, gates: new RateGates({ monotonic: () => time.now }) };
}

test('a namespace without a rate is not limited; one with a rate says when to come again', () => {
  const { gates } = setUp();
  const gate = gates.of('a');
  expect([gate.isLimited, gates.limited()]).toEqual([false, []]);
  gates.set('a', { perSecond: 0.1, burst: 1 });
  expect([gate.isLimited, gates.of('a') === gate, gates.of('b').isLimited, gates.limited()]).toEqual([
    true,
    true,
    false,
    ['a'],
  ]);
  void gate.take();
  expect(() => gate.take()).toThrow(
    expect.objectContaining({
      code: 'RATE_LIMIT',
      retryAfterSeconds: 10,
      message: 'namespace "a" is called more often than its "rate" allows; try again in 10 s',
    }),
  );
});

test('a raised limit holds at once, a lowered one too; what was used stays used', () => {
  const { time, gates } = setUp();
  gates.set('a', { perSecond: 1, burst: 5 });
  expect(gates.draw('a', 5).granted).toBe(5);
  gates.set('a', { perSecond: 1, burst: 8 });
  expect(gates.draw('a', 9).granted).toBe(3);
  time.now += 60_000;
  gates.set('a', { perSecond: 1, burst: 2 });
  expect(gates.draw('a', 9).granted).toBe(2);
  gates.set('a', { perSecond: 1000, burst: 2 });
  time.now += 2;
  expect(gates.draw('a', 2).granted).toBe(2);
  gates.set('a', undefined);
  expect(gates.draw('a', 99).granted).toBe(99);
});

test('another process gets what it asks for and the calls of some milliseconds more, never more than there are', () => {
  const { gates } = setUp();
  gates.set('fast', { perSecond: 1000, burst: 15 });
  expect(gates.draw('fast', 1)).toEqual({ granted: 11, retryAfterMs: 0 });
  expect(gates.draw('fast', 1)).toEqual({ granted: 4, retryAfterMs: 0 });
  expect(gates.draw('fast', 1)).toEqual({ granted: 0, retryAfterMs: 1 });
  gates.putBack('fast', 3);
  expect(gates.draw('fast', 9).granted).toBe(3);
  gates.set('slow', { perSecond: 20, burst: 5 });
  expect(gates.draw('slow', 1).granted).toBe(1);
});
