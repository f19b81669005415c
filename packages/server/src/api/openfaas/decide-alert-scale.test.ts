import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AlertedFunction, decideAlertScale } from './decide-alert-scale.ts';

const alerted = (more: Partial<AlertedFunction> & { min?: string; factor?: string } = {}): AlertedFunction => {
  const { min, factor, ...rest } = more;
  const labels = {
    ...(min === undefined ? {} : { 'com.openfaas.scale.min': min }),
    ...(factor === undefined ? {} : { 'com.openfaas.scale.factor': factor }),
  };
  return { labels, scaleMin: 1, scaleMax: 20, replicas: 1, ...rest };
};

describe('an alert', () => {
  test.each([
    ['a fifth of the most is added', alerted(), 5],
    ['the label says how much', alerted({ factor: '50' }), 11],
    ['what does not divide is rounded up', alerted({ scaleMax: 7, factor: '10' }), 2],
    ['no more than the most', alerted({ replicas: 18 }), 20],
    ['at the most nothing changes', alerted({ replicas: 20 }), undefined],
    ['a factor of 0 is off', alerted({ factor: '0' }), undefined],
    ['a factor that is no number is the usual one', alerted({ factor: 'lots' }), 5],
    ['with one least and most it is off', alerted({ scaleMin: 3, scaleMax: 3, replicas: 3 }), undefined],
    ['from none it begins at the least', alerted({ scaleMin: 0, replicas: 0 }), 5],
  ])('that fires: %s', (_why, given, expected) => {
    expect(decideAlertScale('firing', given)).toBe(expected);
  });

  test.each([
    ['to the least of the spec', alerted({ replicas: 13, scaleMin: 2 }), 2],
    ['to the least of the labels, where the spec lets it go to none', alerted({ scaleMin: 0, min: '3' }), 3],
    ['to one, where the least is none', alerted({ scaleMin: 0, replicas: 5 }), 1],
    ['with a factor of 0 it stays', alerted({ factor: '0', replicas: 4 }), undefined],
  ])('that is resolved: %s', (_why, given, expected) => {
    expect(decideAlertScale('resolved', given)).toBe(expected);
  });

  test('that keeps firing reaches the most in so many steps, and leaves neither bound', () => {
    const bounds = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 1000 }));
    fc.assert(
      fc.property(bounds, fc.integer({ min: 1, max: 100 }), ([scaleMin, more], factor) => {
        const scaleMax = scaleMin + more;
        let replicas = scaleMin;
        let steps = 0;
        for (;;) {
          const next = decideAlertScale('firing', alerted({ scaleMin, scaleMax, replicas, factor: String(factor) }));
          if (next === undefined) break;
          expect(next).toBeGreaterThan(replicas);
          replicas = next;
          steps += 1;
        }
        expect(replicas).toBe(scaleMax);
        expect(steps).toBeLessThanOrEqual(Math.ceil(100 / factor));
        expect(decideAlertScale('resolved', alerted({ scaleMin, scaleMax, replicas }))).toBe(scaleMin);
      }),
    );
  });
});
