import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decideLaneLimit,
  laneLimit,
  type LaneRoom,
  type LaneSign,
  type LaneState,
  NEW_LANE,
} from './decide-lane-limit.ts';

const room = (more: Partial<LaneRoom> = {}): LaneRoom => ({ perInstance: 10, ready: 0, most: 200, ...more });

describe('laneLimit', () => {
  test('follows the instances there are: enough to start one, then twice what they take, at most what all may', () => {
    expect([0, 1, 2, 5, 10, 20].map((ready) => laneLimit(NEW_LANE, room({ ready })))).toEqual([
      10, 20, 40, 100, 200, 200,
    ]);
    expect(laneLimit(NEW_LANE, room({ perInstance: 1, most: 3 }))).toBe(1);
    expect(laneLimit(NEW_LANE, room({ most: 0 }))).toBe(1);
  });

  test('a number that was given takes the place of that', () => {
    expect(laneLimit(NEW_LANE, room({ given: 3, ready: 20 }))).toBe(3);
    expect(laneLimit(NEW_LANE, room({ given: 500 }))).toBe(500);
  });
});

describe('decideLaneLimit', () => {
  test('a refusal halves what runs, holds the lane, and its echo does not halve again', () => {
    const first = decideLaneLimit(NEW_LANE, { kind: 'full', retryAfterMs: 1_000 }, 40, 0);
    expect(first).toMatchObject({ found: 20, heldUntilMs: 1_000 });
    const echo = decideLaneLimit(first, { kind: 'full', retryAfterMs: 1_000 }, 39, 900);
    expect(echo).toMatchObject({ found: 20, heldUntilMs: 1_900 });
    expect(decideLaneLimit(echo, { kind: 'full', retryAfterMs: 1_000 }, 20, 2_000)).toMatchObject({ found: 10 });
  });

  test('answers raise it again, by one each time that many came, until it says nothing any more', () => {
    let state: LaneState = { ...NEW_LANE, found: 4 };
    for (let i = 0; i < 5; i += 1) state = decideLaneLimit(state, { kind: 'taken' }, 4, 0);
    expect(state.found).toBeGreaterThan(5);
    expect(state.found).toBeLessThan(5.2);
    for (let i = 0; i < 2_000; i += 1) state = decideLaneLimit(state, { kind: 'taken' }, 4, 0);
    expect(state.found).toBe(Infinity);
  });

  test('one call that asks to come later holds up nobody; a function that keeps asking is left alone', () => {
    const asked: LaneSign = { kind: 'asked', retryAfterMs: 5_000 };
    const once = decideLaneLimit(NEW_LANE, asked, 8, 0);
    expect(once.heldUntilMs).toBe(0);
    expect(decideLaneLimit(once, asked, 8, 10).heldUntilMs).toBe(5_010);
    const between = decideLaneLimit(once, { kind: 'taken' }, 8, 10);
    expect(decideLaneLimit(between, asked, 8, 20).heldUntilMs).toBe(0);
  });

  test('of a function that cannot be started one attempt at a time finds out when it can', () => {
    const state = decideLaneLimit(NEW_LANE, { kind: 'broken', retryAfterMs: 2_000 }, 10, 0);
    expect(laneLimit(state, room({ ready: 5 }))).toBe(1);
    expect(state.heldUntilMs).toBe(2_000);
  });

  test('whatever happens, there is always a next attempt: at least one may run, and no hold is for ever', () => {
    const sign = fc.oneof(
      fc.constant<LaneSign>({ kind: 'taken' }),
      fc.record({
        kind: fc.constantFrom('full' as const, 'asked' as const, 'broken' as const),
        retryAfterMs: fc.double({ min: -1e6, max: 1e12, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(sign, fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 5_000 }))),
        fc.record({
          perInstance: fc.integer({ min: 1, max: 100 }),
          ready: fc.integer({ min: 0, max: 20 }),
          most: fc.integer({ min: 0, max: 2_000 }),
          given: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
        }),
        (signs, given) => {
          let state = NEW_LANE;
          let nowMs = 0;
          for (const [one, running, passedMs] of signs) {
            nowMs += passedMs;
            const before = laneLimit(state, given);
            state = decideLaneLimit(state, one, running, nowMs);
            const limit = laneLimit(state, given);
            expect(limit).toBeGreaterThanOrEqual(1);
            expect(state.heldUntilMs).toBeLessThanOrEqual(nowMs + 60_000);
            if (one.kind === 'taken') expect(limit).toBeGreaterThanOrEqual(before);
            else expect(limit).toBeLessThanOrEqual(before);
          }
        },
      ),
    );
  });
});
