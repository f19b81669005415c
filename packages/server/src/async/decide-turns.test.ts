import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideTurns, type LaneDemand } from './decide-turns.ts';

const demand = (lane: string, more: Partial<LaneDemand> = {}): LaneDemand => ({
  lane,
  namespace: lane.split('/')[0] ?? '',
  running: 0,
  wants: 100,
  servedAt: 0,
  ...more,
});
const share = (lanes: readonly LaneDemand[], free: number) => Object.fromEntries(decideTurns(lanes, free));

const lanesOf = fc
  .array(
    fc.record({
      namespace: fc.constantFrom('a', 'b', 'c', 'd'),
      running: fc.integer({ min: 0, max: 30 }),
      wants: fc.integer({ min: 0, max: 30 }),
      servedAt: fc.integer({ min: 0, max: 5 }),
    }),
    { maxLength: 20 },
  )
  .map((lanes) => lanes.map((lane, i) => ({ ...lane, lane: `${lane.namespace}/${i}` })));

describe('decideTurns', () => {
  test('shares between namespaces first, then between functions', () => {
    expect(share([demand('a/1'), demand('a/2'), demand('a/3'), demand('b/1')], 12)).toEqual({
      'a/1': 2,
      'a/2': 2,
      'a/3': 2,
      'b/1': 6,
    });
  });

  test('what one does not want goes to the others', () => {
    expect(share([demand('a/1', { wants: 1 }), demand('b/1')], 10)).toEqual({ 'a/1': 1, 'b/1': 9 });
  });

  test('those with more under way wait for the others', () => {
    expect(share([demand('a/1', { running: 8 }), demand('b/1')], 6)).toEqual({ 'b/1': 6 });
  });

  test('a single place goes to whoever was served longest ago', () => {
    expect(share([demand('a/1', { servedAt: 7 }), demand('a/2', { servedAt: 3 })], 1)).toEqual({ 'a/2': 1 });
    expect(share([demand('a/1', { servedAt: 7 }), demand('b/2', { servedAt: 9 })], 1)).toEqual({ 'a/1': 1 });
  });

  test('nobody gets more than they want, and no place stays free that somebody wants', () => {
    fc.assert(
      fc.property(lanesOf, fc.integer({ min: -5, max: 200 }), (lanes, free) => {
        const turns = decideTurns(lanes, free);
        const wanted = lanes.reduce((all, { wants }) => all + wants, 0);
        const given = [...turns.values()].reduce((all, one) => all + one, 0);
        expect(given).toBe(Math.min(wanted, Math.max(0, free)));
        for (const { lane, wants } of lanes) expect(turns.get(lane) ?? 0).toBeLessThanOrEqual(wants);
      }),
    );
  });

  test('fair within one: whoever gets a place is not ahead of another of its namespace that wants one in vain', () => {
    fc.assert(
      fc.property(lanesOf, fc.integer({ min: 1, max: 200 }), (lanes, free) => {
        const turns = decideTurns(lanes, free);
        const got = ({ lane }: LaneDemand) => turns.get(lane) ?? 0;
        for (const one of lanes) {
          if (got(one) === 0) continue;
          for (const other of lanes) {
            if (other.namespace !== one.namespace || got(other) >= other.wants) continue;
            expect(one.running + got(one)).toBeLessThanOrEqual(other.running + got(other) + 1);
          }
        }
      }),
    );
  });

  test('no lane starves: each of any number gets its turn, even with one place', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 }), (namespaces) => {
        const served = new Map<string, number>();
        const lanes = namespaces.map((namespace, i) => `${namespace}/${i}`);
        const perNamespace = Math.max(
          ...['a', 'b', 'c'].map((one) => namespaces.filter((name) => name === one).length),
        );
        // Each namespace gets one turn in as many as there are, and each of its lanes one of those.
        for (let turn = 1; turn <= 3 * perNamespace; turn += 1) {
          const demands = lanes.map((lane) => demand(lane, { servedAt: served.get(lane) ?? 0 }));
          for (const lane of decideTurns(demands, 1).keys()) served.set(lane, turn);
        }
        expect(served.size).toBe(lanes.length);
      }),
    );
  });
});
