import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideRefill } from './decide-refill.ts';

const MINUTE_MS = 60_000;
const usual = (ready: number) => ({ key: 'usual', ready, askedAtMs: Infinity });

test('the usual shape is filled first, then those asked for last, then nothing', () => {
  const bounds = { size: 2, room: 100, nowMs: 0 };
  const shapes = (counts: readonly [number, number, number]) => [
    { key: 'older', ready: counts[0], askedAtMs: -2000 },
    usual(counts[1]),
    { key: 'newer', ready: counts[2], askedAtMs: -1000 },
  ];
  expect(decideRefill(shapes([0, 1, 0]), bounds)).toEqual({ make: 'usual', giveUp: [] });
  expect(decideRefill(shapes([0, 2, 1]), bounds)).toEqual({ make: 'newer', giveUp: [] });
  expect(decideRefill(shapes([1, 2, 2]), bounds)).toEqual({ make: 'older', giveUp: [] });
  expect(decideRefill(shapes([2, 2, 2]), bounds)).toEqual({ giveUp: [] });
});

test('a shape nobody asked for in a quarter of an hour goes, and so does the fifth', () => {
  const old = { key: 'old', ready: 2, askedAtMs: 0 };
  expect(decideRefill([usual(2), old], { size: 2, room: 100, nowMs: 16 * MINUTE_MS })).toEqual({
    giveUp: ['old', 'old'],
  });
  const many = [1, 2, 3, 4].map((askedAtMs) => ({ key: `s${askedAtMs}`, ready: 1, askedAtMs }));
  expect(decideRefill([usual(1), ...many], { size: 1, room: 100, nowMs: 10 })).toEqual({ giveUp: ['s1'] });
});

test('never more than there is room for, whatever there was before', () => {
  const shape = fc.record({ key: fc.string(), ready: fc.nat(10), askedAtMs: fc.integer({ min: -2e6, max: 0 }) });
  fc.assert(
    fc.property(
      fc.uniqueArray(shape, { selector: ({ key }) => key, maxLength: 8 }),
      fc.nat(5),
      fc.integer({ min: -5, max: 20 }),
      (shapes, size, room) => {
        const { make, giveUp } = decideRefill(shapes, { size, room, nowMs: 0 });
        const before = shapes.reduce((sum, { ready }) => sum + ready, 0);
        const after = before - giveUp.length + (make === undefined ? 0 : 1);
        expect(after).toBeLessThanOrEqual(Math.max(0, room));
        for (const { key, ready } of shapes) {
          const gone = giveUp.filter((other) => other === key).length;
          expect(gone).toBeLessThanOrEqual(ready);
          expect(ready - gone + (make === key ? 1 : 0)).toBeLessThanOrEqual(size);
        }
      },
    ),
  );
});
